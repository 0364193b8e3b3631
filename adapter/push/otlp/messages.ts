/** The messages of `otlp.proto` as JavaScript sees them; 64-bit numbers are texts. */
import type { ServiceDefinition } from '@grpc/grpc-js'
import { load } from '@grpc/proto-loader'
import { join } from 'node:path'
import protobuf from 'protobufjs'
import type { Root, Type } from 'protobufjs'
import { countMessages } from '../unread.ts'
import { checkJson } from './strictJson.ts'

export interface ExportRequest {
  readonly resourceMetrics: readonly ResourceMetrics[]
}

export interface ExportResponse {
  readonly partialSuccess?: { readonly rejectedDataPoints: string; readonly errorMessage: string }
}

export interface ResourceMetrics {
  readonly resource: { readonly attributes: readonly Attribute[] } | null
  readonly scopeMetrics: readonly {
    readonly scope: { readonly name: string; readonly version: string } | null
    readonly metrics: readonly Metric[]
  }[]
}

export interface Metric {
  readonly name: string
  readonly unit: string
  /** Which one it is; absent where the sender's is of a kind that is not known here. */
  readonly data?: 'gauge' | 'sum' | 'histogram' | 'exponentialHistogram' | 'summary'
  readonly gauge?: { readonly dataPoints: readonly NumberPoint[] }
  readonly sum?: {
    readonly dataPoints: readonly NumberPoint[]
    readonly aggregationTemporality: Temporality
    readonly isMonotonic: boolean
  }
  readonly histogram?: {
    readonly dataPoints: readonly HistogramPoint[]
    readonly aggregationTemporality: Temporality
  }
  readonly exponentialHistogram?: { readonly dataPoints: readonly unknown[] }
  readonly summary?: { readonly dataPoints: readonly unknown[] }
}

/** By its number: 1 is delta, 2 is cumulative, and all others say nothing. */
export type Temporality = number

export interface Point {
  readonly startTimeUnixNano: string
  readonly timeUnixNano: string
  readonly attributes: readonly Attribute[]
  readonly flags: number
}

export interface NumberPoint extends Point {
  readonly value?: 'asDouble' | 'asInt'
  readonly asDouble?: number
  readonly asInt?: string
}

export interface HistogramPoint extends Point {
  readonly count: string
  /** Absent where the sender has none; never 0 for that. */
  readonly sum?: number
  readonly bucketCounts: readonly string[]
  readonly explicitBounds: readonly number[]
}

export interface Attribute {
  readonly key: string
  readonly value: {
    readonly value?: string
    readonly stringValue?: string
    readonly boolValue?: boolean
    readonly intValue?: string
    readonly doubleValue?: number
  } | null
}

const PACKAGE = 'opentelemetry.proto.collector.metrics.v1'
const FOLDER = join(import.meta.dirname, '../../../proto')
/** Enumerations stay numbers: OTLP's JSON has them so, and one that is not known is still one. */
const FORM = { longs: String, defaults: true, oneofs: true } as const

export async function loadMetricsService(): Promise<ServiceDefinition> {
  const found = (await load('otlp.proto', { includeDirs: [FOLDER], ...FORM }))[
    `${PACKAGE}.MetricsService`
  ]
  if (found === undefined || 'format' in found) throw new Error('no service MetricsService')
  return found as ServiceDefinition
}

/** The two encodings of OTLP over HTTP. Reading throws for what is not in the encoding. */
export interface Encoding {
  readonly contentType: string
  /** Tells what it costs before most of the work. */
  read(body: Buffer, spend: (parts: number) => void): ExportRequest
  write(response: ExportResponse): Buffer
  /** `google.rpc.Status`, which OTLP answers for a fault. */
  writeStatus(status: { readonly code: number; readonly message: string }): Buffer
}

/** In a request: its points, their attributes and whatever else has parts. */
export const PARTS_MAX = 200_000

export async function loadExportType(): Promise<Type> {
  return (await rootOf('otlp.proto')).lookupType(`${PACKAGE}.ExportMetricsServiceRequest`)
}

function rootOf(file: string): Promise<Root> {
  return new protobuf.Root().load(join(FOLDER, file))
}

export async function loadEncodings(): Promise<readonly Encoding[]> {
  const request = await loadExportType()
  const response = request.root.lookupType(`${PACKAGE}.ExportMetricsServiceResponse`)
  const status = (await rootOf('status.proto')).lookupType('google.rpc.Status')
  const plain = (message: ReturnType<typeof request.decode>) =>
    request.toObject(message, FORM) as ExportRequest
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  return [
    {
      contentType: 'application/x-protobuf',
      read(body, spend) {
        spend(countMessages(request, body, PARTS_MAX))
        return plain(request.decode(body))
      },
      write: (answer) => Buffer.from(response.encode(response.fromObject(answer)).finish()),
      writeStatus: (fault) => Buffer.from(status.encode(status.fromObject(fault)).finish()),
    },
    {
      contentType: 'application/json',
      read(body, spend) {
        const value: unknown = JSON.parse(body.toString('utf8'))
        spend(checkJson(request, value, PARTS_MAX))
        return plain(request.fromObject(value as Record<string, unknown>))
      },
      write: json,
      writeStatus: json,
    },
  ]
}
