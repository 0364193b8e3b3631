/** gRPC's server reflection: people's tools ask a port what it serves and of what its messages are made. */
import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js'
import { status } from '@grpc/grpc-js'
import type { Descriptors } from './descriptors.ts'
import { CallFault, unavailable } from './fault.ts'
import type { ReflectionRequest, ReflectionResponse } from './wire.ts'

/** Tools hold one for as long as they look around. */
const STREAMS_MAX = 16

type Call = ServerDuplexStream<ReflectionRequest, ReflectionResponse>

export class Reflection {
  readonly #descriptors: Descriptors
  readonly #ended: (fault: CallFault | undefined) => void
  readonly #open = new Set<Call>()
  #closing = false

  /** `ended` is called once for each stream. */
  constructor(descriptors: Descriptors, ended: (fault: CallFault | undefined) => void) {
    this.#descriptors = descriptors
    this.#ended = ended
  }

  readonly methods: {
    readonly ServerReflectionInfo: handleBidiStreamingCall<ReflectionRequest, ReflectionResponse>
  } = { ServerReflectionInfo: (call) => this.#serve(call) }

  /** Ends every stream as done and refuses new ones. */
  close(): void {
    this.#closing = true
    for (const call of this.#open) call.end()
  }

  #serve(call: Call): void {
    const refusal = this.#refusal()
    if (refusal !== undefined) {
      call.emit('error', refusal)
      this.#ended(refusal)
      return
    }
    this.#open.add(call)
    const finish = () => {
      if (this.#open.delete(call)) this.#ended(undefined)
    }
    call.on('data', (request: ReflectionRequest) => {
      if (!call.writable) return
      if (call.write({ originalRequest: request, ...this.#answer(request) })) return
      call.pause()
      call.once('drain', () => call.resume())
    })
    call.once('end', () => call.end())
    call.once('cancelled', finish)
    call.once('close', finish)
    call.once('finish', finish)
  }

  #refusal(): CallFault | undefined {
    if (this.#closing) return unavailable('the adapter is stopping')
    if (this.#open.size < STREAMS_MAX) return undefined
    const message = `${STREAMS_MAX} reflection streams are open, the most there may be`
    return new CallFault(status.RESOURCE_EXHAUSTED, message)
  }

  #answer(request: ReflectionRequest): Omit<ReflectionResponse, 'originalRequest'> {
    const { services, file, containing } = this.#descriptors
    switch (request.messageRequest) {
      case 'listServices':
        return { listServicesResponse: { service: services.map((name) => ({ name })) } }
      case 'fileByFilename':
        return fileAnswer(file(request.fileByFilename ?? ''), request.fileByFilename)
      case 'fileContainingSymbol':
        return fileAnswer(containing(request.fileContainingSymbol ?? ''), request.fileContainingSymbol) // prettier-ignore
      case 'fileContainingExtension':
      case 'allExtensionNumbersOfType':
        return fault(status.NOT_FOUND, 'proto3 without extensions')
      case undefined:
        break
    }
    return fault(status.INVALID_ARGUMENT, 'the request asks for nothing')
  }
}

function fileAnswer(found: Buffer | undefined, asked: string | undefined) {
  if (found === undefined) return fault(status.NOT_FOUND, `${asked} is not declared here`)
  return { fileDescriptorResponse: { fileDescriptorProto: [found] } }
}

function fault(errorCode: status, errorMessage: string) {
  return { errorResponse: { errorCode, errorMessage } }
}
