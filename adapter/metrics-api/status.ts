import type { Attributes, Decision, User } from './ports.ts'

/** What a failed request is about; becomes `details` of the Status. */
export interface StatusDetails {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
}

/** A Kubernetes `Status` of a failure. `message` ends up in an HPA's conditions: it says what to do. */
export interface Failure {
  readonly code: 400 | 401 | 403 | 404 | 405 | 406 | 500 | 503
  readonly reason: string
  readonly message: string
  readonly details?: StatusDetails
}

/** HPA conditions are cut at 32 KiB by Kubernetes; people stop reading long before. */
const MESSAGE_CHARACTERS_MAX = 2000

export function badRequest(message: string, details?: StatusDetails): Failure {
  return failure(400, 'BadRequest', message, details)
}

export function unauthorized(): Failure {
  return failure(401, 'Unauthorized', 'Unauthorized')
}

export function notFound(message: string, details?: StatusDetails): Failure {
  return failure(404, 'NotFound', message, details)
}

export function unknownPath(): Failure {
  return failure(404, 'NotFound', 'the server could not find the requested resource', {})
}

export function methodNotAllowed(message?: string): Failure {
  return failure(
    405,
    'MethodNotAllowed',
    message ?? 'the server does not allow this method on the requested resource',
    {},
  )
}

export function notAcceptable(supported: readonly string[]): Failure {
  return failure(
    406,
    'NotAcceptable',
    `406: Not Acceptable\n\nAvailable representations: ${supported.join(', ')}`,
    {},
  )
}

export function internalError(message: string): Failure {
  return failure(500, 'InternalError', `Internal error occurred: ${message}`)
}

export function unavailable(message: string, details?: StatusDetails): Failure {
  return failure(503, 'ServiceUnavailable', message, details)
}

/** The texts of apiserver's `responsewriters.Forbidden`. */
export function forbidden(user: User, attributes: Attributes, decision: Decision): Failure {
  const why = decision.reason === undefined || decision.reason === '' ? '' : `: ${decision.reason}`
  const who = `User ${JSON.stringify(user.name)} cannot ${attributes.verb}`
  if (attributes.kind === 'nonResource') {
    const message = `forbidden: ${who} path ${JSON.stringify(attributes.path)}${why}`
    return failure(403, 'Forbidden', message, {})
  }
  const { group, resource, subresource, name, namespace } = attributes
  const full = subresource === undefined ? resource : `${resource}/${subresource}`
  const where =
    namespace === undefined
      ? 'at the cluster scope'
      : `in the namespace ${JSON.stringify(namespace)}`
  const object = name === undefined ? '' : ` ${JSON.stringify(name)}`
  return failure(
    403,
    'Forbidden',
    `${resource}.${group}${object} is forbidden: ${who} resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${where}${why}`,
    { ...(name === undefined ? {} : { name }), group, kind: resource },
  )
}

function failure(
  code: Failure['code'],
  reason: string,
  message: string,
  details?: StatusDetails,
): Failure {
  const short =
    message.length > MESSAGE_CHARACTERS_MAX
      ? `${message.slice(0, MESSAGE_CHARACTERS_MAX)}…`
      : message
  return { code, reason, message: short, ...(details === undefined ? {} : { details }) }
}
