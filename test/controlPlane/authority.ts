import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { required } from '../setup/programs.ts'

export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

export interface LeafRequest {
  /** Name of the files. */
  readonly name: string
  /** As openssl writes it: `/O=group/CN=user`. */
  readonly subject: string
  readonly use: 'serverAuth' | 'clientAuth' | 'serverAuth,clientAuth'
  /** As openssl writes them: `DNS:localhost,IP:127.0.0.1`. */
  readonly names?: string
}

/** A certification authority of EC P-256 in a folder; what it signs is good for two days. */
export interface Authority extends CertificateFiles {
  sign(request: LeafRequest): CertificateFiles
}

function openssl(...parameters: string[]): void {
  execFileSync(required('openssl'), parameters, { stdio: ['ignore', 'pipe', 'pipe'] })
}

const DAYS = ['-days', '2']

function newKey(path: string): void {
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path)
}

export function createAuthority(folder: string, name: string): Authority {
  const at = (file: string) => join(folder, file)
  const files = { cert: at(`${name}.crt`), key: at(`${name}.key`) }
  newKey(files.key)
  const extensions = [
    'basicConstraints=critical,CA:TRUE',
    'keyUsage=critical,keyCertSign,cRLSign,digitalSignature',
  ].flatMap((extension) => ['-addext', extension])
  openssl('req', '-x509', '-new', '-key', files.key, '-subj', `/CN=${name}`, ...DAYS, ...extensions, '-out', files.cert) // prettier-ignore
  return {
    ...files,
    sign({ name: leaf, subject, use, names }) {
      const made = { cert: at(`${leaf}.crt`), key: at(`${leaf}.key`) }
      newKey(made.key)
      openssl('req', '-new', '-key', made.key, '-subj', subject, '-out', at(`${leaf}.csr`))
      const lines = [
        'basicConstraints=CA:FALSE',
        'keyUsage=critical,digitalSignature',
        `extendedKeyUsage=${use}`,
        ...(names === undefined ? [] : [`subjectAltName=${names}`]),
      ]
      writeFileSync(at(`${leaf}.ext`), `${lines.join('\n')}\n`)
      openssl('x509', '-req', '-in', at(`${leaf}.csr`), '-CA', files.cert, '-CAkey', files.key, '-CAcreateserial', ...DAYS, '-extfile', at(`${leaf}.ext`), '-out', made.cert) // prettier-ignore
      return made
    },
  }
}

/** The pair with which service account tokens are signed and verified. */
export function createTokenKeys(folder: string): { readonly key: string; readonly public: string } {
  const key = join(folder, 'sa.key')
  const publicKey = join(folder, 'sa.pub')
  newKey(key)
  openssl('pkey', '-in', key, '-pubout', '-out', publicKey)
  return { key, public: publicKey }
}
