#!/bin/sh
# Makes the client certificate by which KEDA proves itself, and the Secrets that hold it and its CA:
# monitoring/custom-metrics-adapter-keda (ca.crt, mounted by overlays/keda) and, in KEDA's namespace,
# tideline-client (tls.crt, tls.key, and as ca.crt the CA of the adapter's own certificate). Run it after
# make-certificate.sh, and again to renew: the CA in use stays trusted until the next renewal. The CA's key is
# thrown away. Environment: KUBECTL (kubectl), DAYS (365), KEDA_NAMESPACE (keda).
set -eu
KUBECTL=${KUBECTL:-kubectl}
DAYS=${DAYS:-365}
KEDA_NAMESPACE=${KEDA_NAMESPACE:-keda}
NAMESPACE=monitoring
SERVICE=custom-metrics-adapter

umask 077
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
authority_of() {
  "$KUBECTL" -n $NAMESPACE get secret "$1" --ignore-not-found -o 'jsonpath={.data.ca\.crt}' | openssl base64 -d -A
}
store() { "$KUBECTL" apply --server-side --force-conflicts -f -; }

key "$dir/ca.key"
openssl req -x509 -new -key "$dir/ca.key" -subj "/CN=$SERVICE-keda-ca" -days $((DAYS * 2)) \
  -out "$dir/new.crt" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
key "$dir/tls.key"
openssl req -new -key "$dir/tls.key" -subj "/CN=keda" -out "$dir/tls.csr"
printf '%s\n' basicConstraints=CA:FALSE keyUsage=critical,digitalSignature extendedKeyUsage=clientAuth >"$dir/extensions"
openssl x509 -req -in "$dir/tls.csr" -CA "$dir/new.crt" -CAkey "$dir/ca.key" -CAcreateserial \
  -days "$DAYS" -extfile "$dir/extensions" -out "$dir/tls.crt" 2>/dev/null

# The first certificate of what was there: that of the last renewal.
authority_of $SERVICE-keda | awk '{ print } /END CERTIFICATE/ { exit }' >"$dir/previous.crt"
cat "$dir/new.crt" "$dir/previous.crt" >"$dir/clients.crt"
"$KUBECTL" -n $NAMESPACE create secret generic $SERVICE-keda --from-file=ca.crt="$dir/clients.crt" \
  --dry-run=client -o yaml | store
authority_of $SERVICE-tls >"$dir/ca.crt"
"$KUBECTL" -n "$KEDA_NAMESPACE" create secret generic tideline-client --from-file="$dir/tls.crt" \
  --from-file="$dir/tls.key" --from-file="$dir/ca.crt" --dry-run=client -o yaml | store
