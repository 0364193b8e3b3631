/** When to try again, in the form that clients of every language read: google.rpc.RetryInfo in a trailer. */
import { Metadata } from '@grpc/grpc-js'
import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader'
import { load } from '@grpc/proto-loader'
import { join } from 'node:path'
import type { Refusal } from './refusal.ts'

const TRAILER = 'grpc-status-details-bin'
const STATUS = 'google.rpc.Status'
const RETRY_INFO = 'google.rpc.RetryInfo'
const PROTO = join(import.meta.dirname, '../../proto/status.proto')

type Trailers = (refusal: Refusal) => Metadata | undefined

/** Gives the trailers of a refusal; undefined where it names no time. */
export async function retryTrailers(): Promise<Trailers> {
  const loaded = await load(PROTO)
  const status = messageOf(loaded, STATUS)
  const retryInfo = messageOf(loaded, RETRY_INFO)
  return ({ code, message, retryMs }) => {
    if (retryMs === undefined) return undefined
    const seconds = Math.floor(retryMs / 1000)
    const retryDelay = { seconds, nanos: Math.round((retryMs - seconds * 1000) * 1e6) }
    const value = retryInfo.serialize({ retryDelay })
    const details = [{ type_url: `type.googleapis.com/${RETRY_INFO}`, value }]
    const trailers = new Metadata()
    trailers.set(TRAILER, status.serialize({ code, message, details }))
    return trailers
  }
}

function messageOf(loaded: PackageDefinition, name: string): MessageTypeDefinition<object, object> {
  const found = loaded[name]
  if (found === undefined || !('serialize' in found)) throw new Error(`no message ${name}`)
  return found as MessageTypeDefinition<object, object>
}
