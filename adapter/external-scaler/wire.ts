/** The messages as JavaScript sees them, and the services of the two `.proto` files. */
import type { ServiceDefinition } from '@grpc/grpc-js'
import type { PackageDefinition } from '@grpc/proto-loader'
import { load } from '@grpc/proto-loader'
import { join } from 'node:path'

export interface ScaledObjectRef {
  readonly name: string
  readonly namespace: string
  readonly scalerMetadata: Readonly<Record<string, string>>
}

export interface IsActiveResponse {
  readonly result: boolean
}

export interface GetMetricSpecResponse {
  readonly metricSpecs: readonly {
    readonly metricName: string
    readonly targetSize: number
    readonly targetSizeFloat: number
  }[]
}

export interface GetMetricsRequest {
  /** Null where the caller left it out. */
  readonly scaledObjectRef: ScaledObjectRef | null
  readonly metricName: string
}

export interface GetMetricsResponse {
  readonly metricValues: readonly {
    readonly metricName: string
    readonly metricValue: number
    readonly metricValueFloat: number
  }[]
}

export interface HealthCheckRequest {
  readonly service: string
}

export interface HealthCheckResponse {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN'
}

export const SCALER_NAME = 'externalscaler.ExternalScaler'
const HEALTH_NAME = 'grpc.health.v1.Health'
const FOLDER = join(import.meta.dirname, '../../proto')

export async function loadServices(): Promise<{
  readonly scaler: ServiceDefinition
  readonly health: ServiceDefinition
}> {
  const definition = await load(['externalscaler.proto', 'health.proto'], {
    includeDirs: [FOLDER],
    longs: Number,
    enums: String,
    defaults: true,
  })
  return { scaler: serviceOf(definition, SCALER_NAME), health: serviceOf(definition, HEALTH_NAME) }
}

function serviceOf(definition: PackageDefinition, name: string): ServiceDefinition {
  const found = definition[name]
  if (found === undefined || 'format' in found) throw new Error(`no service ${name} in ${FOLDER}`)
  return found as ServiceDefinition
}
