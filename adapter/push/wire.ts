/** The messages of `push.proto` as JavaScript sees them. */
import type { ServiceDefinition } from '@grpc/grpc-js'
import { load } from '@grpc/proto-loader'
import { join } from 'node:path'
import protobuf from 'protobufjs'
import type { Type } from 'protobufjs'
import type { PushReport } from '../../src/ports.ts'

export interface ReportRequest {
  readonly namespace: string
  readonly pod: string
  readonly service: string
  readonly instance: string
  readonly sequence: number
  readonly startUnixMs: number
  readonly endUnixMs: number
  readonly counts: readonly {
    readonly model: string
    readonly version: string
    readonly requests: number
    readonly errors: number
    /** Null where the sender left it out. */
    readonly latency: {
      readonly bounds: readonly number[]
      readonly counts: readonly number[]
      readonly sumSeconds: number
    } | null
  }[]
}

export interface ReportResponse {
  readonly sequence: number
  readonly outcome: 'ACCEPTED' | 'DUPLICATE' | 'REFUSED'
  readonly code: string
  readonly message: string
  readonly admissibleRate?: number
  readonly retryAfterMs?: number
}

const PUSH_NAME = 'tideline.push.v1.Push'
const FOLDER = join(import.meta.dirname, '../../proto')

export async function loadPush(): Promise<ServiceDefinition> {
  const options = { includeDirs: [FOLDER], longs: Number, enums: String, defaults: true }
  const found = (await load('push.proto', options))[PUSH_NAME]
  if (found === undefined || 'format' in found) throw new Error(`no service ${PUSH_NAME}`)
  return found as ServiceDefinition
}

export async function loadReportType(): Promise<Type> {
  const root = await new protobuf.Root().load(join(FOLDER, 'push.proto'))
  return root.lookupType('tideline.push.v1.ReportRequest')
}

export function reportOf(request: ReportRequest): PushReport {
  const { namespace, pod, service, instance, sequence, startUnixMs, endUnixMs } = request
  const counts = request.counts.map(({ latency, ...one }) => ({
    ...one,
    ...(latency === null ? {} : { latency }),
  }))
  return {
    ...{ namespace, pod, service, instance, sequence },
    startMs: startUnixMs,
    endMs: endUnixMs,
    counts,
  }
}
