/** The messages as JavaScript sees them, and the services of the `.proto` files. */
import type { ServiceDefinition } from '@grpc/grpc-js'
import type { PackageDefinition } from '@grpc/proto-loader'
import { load } from '@grpc/proto-loader'
import { join } from 'node:path'
import type { Descriptors } from './descriptors.ts'
import { readDescriptors } from './descriptors.ts'

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

export interface ReflectionRequest {
  readonly messageRequest?:
    | 'fileByFilename'
    | 'fileContainingSymbol'
    | 'fileContainingExtension'
    | 'allExtensionNumbersOfType'
    | 'listServices'
  readonly fileByFilename?: string
  readonly fileContainingSymbol?: string
}

export interface ReflectionResponse {
  readonly originalRequest: ReflectionRequest
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] }
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] }
  readonly errorResponse?: { readonly errorCode: number; readonly errorMessage: string }
}

export const SCALER_NAME = 'externalscaler.ExternalScaler'
const HEALTH_NAME = 'grpc.health.v1.Health'
const REFLECTION_NAMES = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
] as const
const FOLDER = join(import.meta.dirname, '../../proto')
const FILES = [
  'externalscaler.proto',
  'health.proto',
  'reflection.v1.proto',
  'reflection.v1alpha.proto',
]

export async function loadServices(): Promise<{
  readonly scaler: ServiceDefinition
  readonly health: ServiceDefinition
  readonly reflections: readonly ServiceDefinition[]
  readonly descriptors: Descriptors
}> {
  const includeDirs = [FOLDER]
  const [definition, asWritten] = await Promise.all([
    load(FILES, { includeDirs, longs: Number, enums: String, defaults: true, oneofs: true }),
    load(FILES, { includeDirs, keepCase: true }),
  ])
  return {
    scaler: serviceOf(definition, SCALER_NAME),
    health: serviceOf(definition, HEALTH_NAME),
    reflections: REFLECTION_NAMES.map((name) => serviceOf(definition, name)),
    descriptors: readDescriptors(asWritten),
  }
}

function serviceOf(definition: PackageDefinition, name: string): ServiceDefinition {
  const found = definition[name]
  if (found === undefined || 'format' in found) throw new Error(`no service ${name} in ${FOLDER}`)
  return found as ServiceDefinition
}
