import type { ServiceError } from '@grpc/grpc-js'
import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader'

interface Details {
  readonly details?: readonly { readonly type_url?: string; readonly value?: Buffer }[]
}

interface RetryInfo {
  readonly retryDelay?: { readonly seconds?: number; readonly nanos?: number }
}

const STATUS = 'google.rpc.Status'
const RETRY_INFO = 'google.rpc.RetryInfo'

/**
 * Reads when the adapter says that a failed call may be tried again, in ms; undefined where it says nothing.
 * `loaded` has `status.proto`, with numbers for int64.
 */
export function retryReader(
  loaded: PackageDefinition,
): (error: ServiceError) => number | undefined {
  const status = decoderOf<Details>(loaded, STATUS)
  const retryInfo = decoderOf<RetryInfo>(loaded, RETRY_INFO)
  return ({ metadata }) => {
    const [trailer] = metadata?.get('grpc-status-details-bin') ?? []
    if (!(trailer instanceof Buffer)) return undefined
    try {
      const found = status(trailer).details?.find(({ type_url }) =>
        type_url?.endsWith(`/${RETRY_INFO}`),
      )
      if (found?.value === undefined) return undefined
      const { seconds = 0, nanos = 0 } = retryInfo(found.value).retryDelay ?? {}
      return Math.max(0, seconds * 1000 + nanos / 1e6)
    } catch {
      // Somebody else's bytes: as good as nothing.
      return undefined
    }
  }
}

function decoderOf<T>(loaded: PackageDefinition, name: string): (bytes: Buffer) => T {
  const found = loaded[name]
  if (found === undefined || !('deserialize' in found)) throw new Error(`no message ${name}`)
  return (found as MessageTypeDefinition<object, object>).deserialize as (bytes: Buffer) => T
}
