import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { required } from './programs.ts'

export interface Certificates {
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string }
  /** The same as PEM texts. */
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A certification authority and one certificate of it for 127.0.0.1, good for a server and a client. */
export function makeCertificates(folder: string): Certificates {
  const at = (name: string) => join(folder, name)
  const openssl = (...parameters: string[]) =>
    execFileSync(required('openssl'), parameters, { stdio: ['ignore', 'pipe', 'ignore'] })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...curve, '-keyout', at('ca.key'), '-out', at('ca.crt'), '-days', '2', '-subj', '/CN=test authority') // prettier-ignore
  openssl('req', ...curve, '-keyout', at('tls.key'), '-out', at('tls.csr'), '-subj', '/CN=test')
  writeFileSync(at('extensions'), 'subjectAltName=IP:127.0.0.1,DNS:redis.test\n')
  openssl('x509', '-req', '-in', at('tls.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('extensions'), '-out', at('tls.crt')) // prettier-ignore
  const files = { ca: at('ca.crt'), cert: at('tls.crt'), key: at('tls.key') }
  const read = (path: string) => readFileSync(path, 'utf8')
  return { files, ca: read(files.ca), cert: read(files.cert), key: read(files.key) }
}
