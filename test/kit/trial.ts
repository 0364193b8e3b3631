import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { TidelineError } from '../../src/errors.ts'
import type { FailureCode, Sample } from '../../src/model.ts'
import type { Component, SecretReader, SecretReference } from '../../src/ports.ts'
import { RecordingLogger } from './recordingLogger.ts'
import { RecordingSink } from './recordingSink.ts'
import type { ExpectedSample, Harness } from './sourceContract.ts'
import { unhinderedMs } from './unhindered.ts'
import { until } from './until.ts'

export const SOURCE_NAME = 'contract'
const SETTLE_MS = 1000

/** One component with everything that it told. */
export class Trial {
  readonly sink = new RecordingSink()
  readonly log = new RecordingLogger()
  readonly #harness: Harness
  #component: Component | undefined
  #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  settled = true

  constructor(harness: Harness) {
    this.#harness = harness
  }

  create(): Component {
    const { type, discovery, pushed, secrets } = this.#harness
    return (this.#component ??= type.create(type.schema.parse(this.#harness.config()), {
      name: SOURCE_NAME,
      clock: systemClock,
      sink: this.sink,
      secrets: secretsFrom(secrets ?? {}),
      log: this.log,
      ...(discovery === undefined ? {} : { discovery }),
      ...(pushed === undefined ? {} : { pushed }),
    }))
  }

  start(): void {
    this.#stop = new AbortController()
    this.settled = false
    this.#running = this.create()
      .run(this.#stop.signal)
      .finally(() => (this.settled = true))
    this.#running.catch(() => undefined)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async settlesInTime(): Promise<void> {
    expect(await unhinderedMs(() => this.stop())).toBeLessThan(SETTLE_MS)
  }

  /** Waits, long enough for a busy machine, for the expected sample of `value` in a batch that is written from now on. */
  async sees(value: number, deadlineMs = 25_000): Promise<Sample> {
    const wanted = this.#harness.expected(value)
    const from = this.sink.batches.length
    return until(
      `${JSON.stringify(wanted)}; last batch ${JSON.stringify(this.sink.latest().slice(0, 5))}, last failure ${JSON.stringify(this.sink.failures.at(-1))}`,
      () =>
        this.sink.batches
          .slice(from)
          .flatMap((batch) => batch.samples)
          .find((sample) => matches(sample, wanted)),
      deadlineMs,
    )
  }

  async fails(codes: readonly FailureCode[]): Promise<void> {
    const from = this.sink.failures.length
    await until(`failure ${codes.join(' or ')}`, () =>
      this.sink.failures.slice(from).some((failure) => codes.includes(failure.code)),
    ).catch((thrown: unknown) => {
      throw new Error(
        `${String(thrown)}; told ${JSON.stringify(this.sink.failures.slice(from, from + 3))}`,
      )
    })
  }

  told(): number {
    return this.sink.batches.length + this.sink.failures.length + this.sink.ends.length
  }
}

function matches(sample: Sample, wanted: ExpectedSample): boolean {
  return (
    sample.metric === wanted.metric &&
    sample.kind === wanted.kind &&
    Object.is(sample.value, wanted.value) &&
    Object.entries(wanted.labels ?? {}).every(([key, value]) =>
      isDeepStrictEqual(sample.labels[key], value),
    )
  )
}

/** Reads `secrets` by the reference's text; see `Harness.secrets`. */
export function secretsFrom(secrets: Readonly<Record<string, string>>): SecretReader {
  return {
    read: async (reference: SecretReference) => {
      const key =
        'file' in reference
          ? reference.file
          : 'env' in reference
            ? reference.env
            : `${reference.secret.name}/${reference.secret.key}`
      const value = secrets[key]
      if (value === undefined) throw new TidelineError('not-configured', `no credential at ${key}`)
      return value
    },
  }
}

/** The handles there are now, once those that an earlier clause left closing are gone. */
export async function baseline(): Promise<ReadonlyMap<string, number>> {
  await systemClock.sleep(50, new AbortController().signal)
  return resources()
}

function resources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

/** Handles there are more of than `before`. The runner's own timers come and go and are not counted. */
export function surplus(before: ReadonlyMap<string, number>): Record<string, number> {
  const more: Record<string, number> = {}
  for (const [kind, count] of resources()) {
    const extra = count - (before.get(kind) ?? 0)
    if (extra > 0 && !RUNNERS_OWN.has(kind)) more[kind] = extra
  }
  return more
}
const RUNNERS_OWN: ReadonlySet<string> = new Set(['Immediate', 'MessagePort', 'FSReqPromise'])

export async function noSurplus(before: ReadonlyMap<string, number>): Promise<void> {
  await until('handles closed', () => Object.keys(surplus(before)).length === 0).catch(
    (thrown: unknown) => {
      throw new Error(`${String(thrown)}: ${JSON.stringify(surplus(before))}`)
    },
  )
}
