#!/bin/sh
# Makes a CA and a serving certificate for the adapter, stores them as Secret custom-metrics-adapter-tls and
# tells the API server to trust that CA for the APIs that the adapter serves. Run it after `kubectl apply -k manifests/base`, and again to renew:
# the CA in use stays trusted until the next renewal, so that no request fails while pods take the new one.
# The CA's key is thrown away. Environment: KUBECTL (kubectl), DAYS (365).
set -eu
KUBECTL=${KUBECTL:-kubectl}
DAYS=${DAYS:-365}
NAMESPACE=monitoring
SERVICE=custom-metrics-adapter
SECRET=$SERVICE-tls
APISERVICES="v1beta1.custom.metrics.k8s.io v1beta2.custom.metrics.k8s.io v1beta1.external.metrics.k8s.io"

umask 077
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

key "$dir/ca.key"
# Two renewals long, since it is trusted beyond the life of its certificate.
openssl req -x509 -new -key "$dir/ca.key" -subj "/CN=$SERVICE-ca" -days $((DAYS * 2)) -out "$dir/ca.crt" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
key "$dir/tls.key"
openssl req -new -key "$dir/tls.key" -subj "/CN=$SERVICE.$NAMESPACE.svc" -out "$dir/tls.csr"
cat >"$dir/extensions" <<END
basicConstraints=CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=DNS:$SERVICE.$NAMESPACE.svc,DNS:$SERVICE.$NAMESPACE.svc.cluster.local,DNS:$SERVICE-push.$NAMESPACE.svc,DNS:$SERVICE-push.$NAMESPACE.svc.cluster.local
END
openssl x509 -req -in "$dir/tls.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial \
  -days "$DAYS" -extfile "$dir/extensions" -out "$dir/tls.crt" 2>/dev/null

"$KUBECTL" -n $NAMESPACE get secret $SECRET --ignore-not-found -o 'jsonpath={.data.ca\.crt}' |
  openssl base64 -d -A >"$dir/previous.crt"
bundle=$(cat "$dir/ca.crt" "$dir/previous.crt" | openssl base64 -A)
for name in $APISERVICES; do
  # One that another adapter serves (KEDA the external metrics) stays as it is.
  owner=$("$KUBECTL" get apiservice "$name" --ignore-not-found -o 'jsonpath={.spec.service.namespace}/{.spec.service.name}')
  [ "$owner" = "$NAMESPACE/$SERVICE" ] || continue
  "$KUBECTL" patch apiservice "$name" --type=merge -p "{\"spec\":{\"caBundle\":\"$bundle\"}}"
done
"$KUBECTL" -n $NAMESPACE create secret generic $SECRET --type=kubernetes.io/tls \
  --from-file="$dir/tls.crt" --from-file="$dir/tls.key" --from-file="$dir/ca.crt" \
  --dry-run=client -o yaml | "$KUBECTL" apply --server-side --force-conflicts -f -
