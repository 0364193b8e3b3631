import type { ServerWritableStream } from '@grpc/grpc-js'
import { status } from '@grpc/grpc-js'
import type { Clock, Component } from '../../src/ports.ts'
import { CallFault, unavailable } from './fault.ts'

/** What one stream tells. */
export interface Telling<Message> {
  /**
   * The message that is true now. Throws `CallFault`: while it is `UNAVAILABLE` the one before stands and is told
   * again in its time; any other ends the stream.
   */
  now(): Message
  /** While it is the same, `now` would say the same. Undefined: it may always say another thing. */
  version?(): number
  /** What was told before this stream, where it opens while nothing is known; undefined: nothing is told then. */
  before?(): Message | undefined
  /** Time after which a message is told again though nothing changed; undefined: never. */
  repeatAfterMs(message: Message): number | undefined
  /** Once, when the stream has ended, with the fault that ended it. */
  ended(fault: CallFault | undefined): void
}

interface Stream {
  look(): void
  end(): void
}

/** How often streams look for something new. Looking is a few comparisons in memory. */
const LOOK_EVERY_MS = 250

/**
 * The open streams: each is told the present message on opening and then every new one. One that does not read
 * is told nothing until it does, and then only the newest.
 */
export class Streams implements Component {
  readonly #clock: Clock
  readonly #max: number
  readonly #open = new Set<Stream>()
  #closing = false

  constructor(clock: Clock, max: number) {
    this.#clock = clock
    this.#max = max
  }

  get size(): number {
    return this.#open.size
  }

  open<Message>(call: ServerWritableStream<unknown, Message>, telling: Telling<Message>): void {
    const refusal = this.#refusal()
    if (refusal !== undefined) {
      call.emit('error', refusal)
      telling.ended(refusal)
      return
    }
    const stream = this.#streamOf(call, telling)
    this.#open.add(stream)
    stream.look()
  }

  /** Ends every stream as done and refuses new ones; clients then ask another replica. */
  close(): void {
    this.#closing = true
    for (const stream of this.#open) stream.end()
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(LOOK_EVERY_MS, signal)
      for (const stream of this.#open) stream.look()
    }
  }

  #refusal(): CallFault | undefined {
    if (this.#closing) return unavailable('the adapter is stopping')
    if (this.#open.size < this.#max) return undefined
    return new CallFault(
      status.RESOURCE_EXHAUSTED,
      `${this.#max} streams are open, the most there may be`,
    )
  }

  #streamOf<Message>(
    call: ServerWritableStream<unknown, Message>,
    telling: Telling<Message>,
  ): Stream {
    let present: Message | undefined
    let version: number | undefined
    let told: Message | undefined
    let toldMs = 0
    const finish = (fault: CallFault | undefined): void => {
      if (this.#open.delete(stream)) telling.ended(fault)
    }
    const stream: Stream = {
      look: () => {
        if (call.cancelled) return finish(undefined)
        if (call.writableNeedDrain) return
        try {
          const newVersion = telling.version?.()
          if (newVersion === undefined || newVersion !== version) present = known(telling)
          version = newVersion
          const message = present ?? told ?? telling.before?.()
          if (message === undefined) return
          const nowMs = this.#clock.monotonicMs()
          const again = telling.repeatAfterMs(message)
          const isNew = JSON.stringify(message) !== JSON.stringify(told)
          if (!isNew && (again === undefined || nowMs - toldMs < again)) return
          told = message
          toldMs = nowMs
          call.write(message)
        } catch (thrown) {
          const fault = thrown instanceof CallFault ? thrown : internal()
          finish(fault)
          call.emit('error', fault)
        }
      },
      end: () => {
        finish(undefined)
        call.end()
      },
    }
    call.once('cancelled', () => finish(undefined))
    call.once('close', () => finish(undefined))
    return stream
  }
}

function known<Message>(telling: Telling<Message>): Message | undefined {
  try {
    return telling.now()
  } catch (thrown) {
    if (thrown instanceof CallFault && thrown.code === status.UNAVAILABLE) return undefined
    throw thrown
  }
}

export function internal(): CallFault {
  return new CallFault(status.INTERNAL, 'a fault of the adapter; its log says more')
}
