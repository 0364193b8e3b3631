/** Flags that say how a server is reached: the twin of `url`, `auth`, `tls` and `headers` of a source. */
export const CONNECTION_FLAGS = {
  'token-file': { type: 'string' },
  user: { type: 'string' },
  'password-file': { type: 'string' },
  'ca-file': { type: 'string' },
  'cert-file': { type: 'string' },
  'key-file': { type: 'string' },
  'server-name': { type: 'string' },
  'insecure-skip-verify': { type: 'boolean' },
  header: { type: 'string', multiple: true },
} as const

export const CONNECTION_USAGE = `Options of a server that replay, record and why ask
  --token-file FILE      bearer token, read anew for each request
  --user NAME            with --password-file FILE
  --ca-file FILE         authorities to trust, PEM (the system's)
  --cert-file FILE       client certificate, PEM, with --key-file FILE
  --server-name NAME     name in the server's certificate, where the address is not
  --insecure-skip-verify believe any certificate; for a trial only
  --header NAME=VALUE    send it along, such as X-Scope-OrgID=team; several times
`

export interface Connection {
  readonly url: string
  readonly auth?:
    | { readonly bearerToken: FileReference }
    | { readonly basic: { readonly username: string; readonly password: FileReference } }
  readonly tls: {
    readonly ca?: FileReference
    readonly cert?: FileReference
    readonly key?: FileReference
    readonly serverName?: string
    readonly insecureSkipVerify: boolean
  }
  readonly headers: Readonly<Record<string, string>>
}
interface FileReference {
  readonly file: string
}

type Values = {
  readonly [Name in keyof typeof CONNECTION_FLAGS]?: Name extends 'header'
    ? string[]
    : Name extends 'insecure-skip-verify'
      ? boolean
      : string
}

/** Throws `RangeError` naming the flag. */
export function connectionOf(flag: string, url: string, values: Values): Connection {
  const parsed = URL.parse(url)
  if (parsed === null || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:'))
    throw new RangeError(`${flag} is "${url}": an http:// or https:// URL`)
  if (parsed.username !== '' || parsed.password !== '')
    throw new RangeError(`${flag} must not hold credentials: use --user and --password-file`)
  const auth = authOf(values)
  const [ca, cert, key] = [values['ca-file'], values['cert-file'], values['key-file']]
  if ((cert === undefined) !== (key === undefined))
    throw new RangeError('--cert-file and --key-file: give both or none')
  const serverName = values['server-name']
  return {
    url,
    ...(auth === undefined ? {} : { auth }),
    tls: {
      ...(ca === undefined ? {} : { ca: { file: ca } }),
      ...(cert === undefined ? {} : { cert: { file: cert } }),
      ...(key === undefined ? {} : { key: { file: key } }),
      ...(serverName === undefined ? {} : { serverName }),
      insecureSkipVerify: values['insecure-skip-verify'] === true,
    },
    headers: Object.fromEntries((values.header ?? []).map(headerOf)),
  }
}

function authOf(values: Values): Connection['auth'] {
  const { user, 'token-file': token, 'password-file': password } = values
  if ((user === undefined) !== (password === undefined))
    throw new RangeError('--user and --password-file: give both or none')
  if (token !== undefined && user !== undefined)
    throw new RangeError('--token-file and --user: give one')
  if (token !== undefined) return { bearerToken: { file: token } }
  if (user === undefined || password === undefined) return undefined
  return { basic: { username: user, password: { file: password } } }
}

function headerOf(text: string): [name: string, value: string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([\t\x20-\x7e]*)$/.exec(text) ?? []
  if (name === undefined || value === undefined)
    throw new RangeError('--header is not NAME=VALUE in plain text, such as X-Scope-OrgID=team')
  if (/^(authorization|host|content-.*|transfer-encoding)$/i.test(name))
    throw new RangeError(`--header ${name} is not to be set: use --token-file, or --user`)
  return [name, value]
}
