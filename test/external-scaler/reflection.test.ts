/** A client that knows the reflection protocol alone finds out the rest, and makes a call. */
import type { ClientDuplexStream, ServiceDefinition } from '@grpc/grpc-js'
import { Client, credentials } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import type { IFileDescriptorProto } from 'protobufjs/ext/descriptor/index.js'
import descriptors from 'protobufjs/ext/descriptor/index.js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { issueCertificate } from '../../adapter/security/selfSigned.ts'
import type { ReflectionRequest, ReflectionResponse } from '../../adapter/external-scaler/wire.ts'
import { loadServices } from '../../adapter/external-scaler/wire.ts'
import { until } from '../kit/until.ts'
import { around, authority, client as clientOf } from '../security/certificates.ts'
import { fresh, QUEUE, ref, SERVER_NAME, startScaler } from './scaler.ts'
import type { Running } from './scaler.ts'

const SERVICES = [
  'externalscaler.ExternalScaler',
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
]
const { reflections } = await loadServices()
/** The library's types leave out what its extension adds. */
const Root = protobuf.Root as unknown as { fromDescriptor(files: object): protobuf.Root }

let scaler: Running
let client: Client

beforeEach(async () => {
  scaler = await startScaler()
  client = new Client(`127.0.0.1:${scaler.port}`, credentials.createInsecure())
})
afterEach(async () => {
  client.close()
  await scaler.close()
})

interface Talk {
  readonly answers: ReflectionResponse[]
  end: string | undefined
  ask(request: ReflectionRequest): Promise<ReflectionResponse>
  readonly call: ClientDuplexStream<ReflectionRequest, ReflectionResponse>
}

function talk(service: ServiceDefinition): Talk {
  const method = service['ServerReflectionInfo']
  if (method === undefined) throw new Error('no such method')
  const call = client.makeBidiStreamRequest<ReflectionRequest, ReflectionResponse>(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
  )
  const answers: ReflectionResponse[] = []
  const talking: Talk = {
    answers,
    end: undefined,
    call,
    async ask(request) {
      const before = answers.length
      call.write(request)
      await until('an answer', () => answers.length > before)
      return answers[before]!
    },
  }
  call.on('data', (answer: ReflectionResponse) => answers.push(answer))
  call.on('error', (error) => (talking.end = error.message))
  call.on('end', () => (talking.end ??= 'OK'))
  return talking
}

function fileIn(answer: ReflectionResponse): Buffer {
  const [file] = answer.fileDescriptorResponse?.fileDescriptorProto ?? []
  if (file === undefined) throw new Error(answer.errorResponse?.errorMessage)
  return file
}

describe.each(reflections)('$ServerReflectionInfo.path', (service) => {
  test('a walk: services, the file of one, a call by what it says', async () => {
    scaler.show(QUEUE, fresh(3))
    const { ask, call } = talk(service)
    const listed = await ask({ listServices: '' } as ReflectionRequest)
    expect(listed.listServicesResponse?.service.map(({ name }) => name)).toEqual(SERVICES)
    const file = fileIn(await ask({ fileContainingSymbol: SERVICES[0]! }))
    const root = Root.fromDescriptor({
      file: [descriptors.FileDescriptorProto.decode(file)],
    }).resolveAll()
    const { methods } = root.lookupService(SERVICES[0]!)
    expect(Object.keys(methods).toSorted()).toEqual([
      'GetMetricSpec',
      'GetMetrics',
      'IsActive',
      'StreamIsActive',
      'StreamMetricSpec',
    ])
    const asked = root.lookupType(methods['IsActive']!.requestType)
    const answered = root.lookupType(methods['IsActive']!.responseType)
    const active = await new Promise((resolve, reject) =>
      client.makeUnaryRequest(
        `/${SERVICES[0]}/IsActive`,
        (request: object) => Buffer.from(asked.encode(asked.fromObject(request)).finish()),
        (bytes) => answered.toObject(answered.decode(bytes)),
        // What the library makes of a file has no maps: their entries are messages.
        { ...ref(), scalerMetadata: [{ key: 'signal', value: 'queue' }] },
        (error, answer) => (error === null ? resolve(answer) : reject(error)),
      ),
    )
    expect(active).toEqual({ result: true })
    call.end()
    await until('the end is counted', () => scaler.calls.includes('ServerReflectionInfo OK'))
  })
})

test('names of types are whole and entries of maps are called as protoc calls them', async () => {
  const { ask } = talk(reflections[0]!)
  const file = fileIn(await ask({ fileContainingSymbol: 'externalscaler.ScaledObjectRef' }))
  const read = descriptors.FileDescriptorProto.decode(file) as unknown as IFileDescriptorProto
  expect(read).toMatchObject({ package: 'externalscaler', syntax: 'proto3' })
  const message = read.messageType?.find(({ name }) => name === 'ScaledObjectRef')
  expect(message?.nestedType?.map(({ name }) => name)).toEqual(['ScalerMetadataEntry'])
  expect(message?.field?.map(({ typeName }) => typeName).filter(Boolean)).toEqual([
    '.externalscaler.ScaledObjectRef.ScalerMetadataEntry',
  ])
})

test.each([
  'externalscaler.ExternalScaler.GetMetrics',
  'externalscaler.MetricValue.metricValueFloat',
  'grpc.health.v1.HealthCheckResponse.ServingStatus',
  'grpc.health.v1.HealthCheckResponse.SERVING',
  'grpc.reflection.v1.ServerReflectionResponse.original_request',
])('%s is found, and its file by name', async (symbol) => {
  const { ask } = talk(reflections[0]!)
  const bySymbol = fileIn(await ask({ fileContainingSymbol: symbol }))
  const read = descriptors.FileDescriptorProto.decode(bySymbol) as unknown as IFileDescriptorProto
  expect(fileIn(await ask({ fileByFilename: read.name! }))).toEqual(bySymbol)
})

test('what is not there is said in the answer, and the talk goes on', async () => {
  const { ask, answers } = talk(reflections[0]!)
  await ask({ fileContainingSymbol: 'externalscaler.Nothing' })
  await ask({ fileByFilename: 'nothing.proto' })
  await ask({ allExtensionNumbersOfType: SERVICES[0] } as ReflectionRequest)
  await ask({})
  const codes = answers.map(({ errorResponse }) => errorResponse?.errorCode)
  expect(codes).toEqual([5, 5, 5, 3])
  expect(answers[0]?.originalRequest).toMatchObject({
    fileContainingSymbol: 'externalscaler.Nothing',
  })
})

test('streams have a limit, and end when the server stops', async () => {
  const open = Array.from({ length: 16 }, () => talk(reflections[0]!))
  for (const { ask } of open) await ask({ fileByFilename: '' })
  const refused = talk(reflections[1]!)
  await until('the refusal', () => refused.end)
  expect(refused.end).toMatch(/RESOURCE_EXHAUSTED: 16 reflection streams/)
  open[0]!.call.cancel()
  await until('the end is counted', () => scaler.calls.includes('ServerReflectionInfo OK'))
  const next = talk(reflections[0]!)
  await next.ask({ fileByFilename: '' })
  await scaler.close()
  await until('the end', () => next.end)
  expect(next.end).toBe('OK')
})

test('who has no client certificate sees nothing', async () => {
  const nowMs = Date.now()
  const ca = authority('ca', nowMs)
  const own = clientOf(ca, nowMs, { commonName: 'keda' })
  const request = { commonName: 'server', dnsNames: [SERVER_NAME], ...around(nowMs) }
  const serving = issueCertificate({ ...request, usages: ['serverAuth'] }, ca)
  const tls = { material: { ...serving, ca: ca.cert }, follow: () => undefined }
  const secured = await startScaler({}, { kind: 'tls', tls, clientCertificates: true })
  const dial = (pair?: typeof own) => {
    client.close()
    const [key, cert] = [pair?.key, pair?.cert].map((pem) => (pem ? Buffer.from(pem) : null))
    const channel = credentials.createSsl(Buffer.from(ca.cert), key, cert)
    const options = { 'grpc.ssl_target_name_override': SERVER_NAME }
    client = new Client(`127.0.0.1:${secured.port}`, channel, options)
    return talk(reflections[0]!)
  }
  const stranger = dial()
  stranger.call.write({ listServices: '' } as ReflectionRequest)
  await until('the refusal', () => stranger.end)
  expect(stranger.end).toMatch(/UNAVAILABLE/)
  const listed = await dial(own).ask({ listServices: '' } as ReflectionRequest)
  expect(listed.listServicesResponse?.service).toHaveLength(SERVICES.length)
  client.close()
  await secured.close()
})
