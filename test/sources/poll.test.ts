import { describe, expect, test } from 'vitest'
import { TidelineError } from '../../src/errors.ts'
import { failureOf } from '../../src/sources/failure.ts'
import { Gate, poll } from '../../src/sources/poll.ts'
import { ManualClock, settle } from '../kit/manualClock.ts'

const INTERVAL_MS = 1000

function polling(clock: ManualClock, key = 'a') {
  const failures: TidelineError[] = []
  const missed: number[] = []
  return {
    failures,
    missed,
    with: {
      clock,
      intervalMs: INTERVAL_MS,
      timeoutMs: 400,
      key,
      failed: (failure: TidelineError) => void failures.push(failure),
      missed: (slots: number) => void missed.push(slots),
    },
  }
}

/** Times of the collects of a poller, from its start, over some intervals. */
async function timesOf(key: string, intervals = 5): Promise<number[]> {
  const clock = new ManualClock()
  const startMs = clock.nowMs()
  const times: number[] = []
  const stop = new AbortController()
  const done = poll(
    polling(clock, key).with,
    async () => void times.push(clock.nowMs() - startMs),
    stop.signal,
  )
  await clock.advance(INTERVAL_MS * intervals)
  stop.abort()
  await done
  return times
}

describe('slots', () => {
  test('the first collect is at once, the others an interval apart', async () => {
    const [first, ...others] = await timesOf('pod-1')
    expect(first).toBe(0)
    expect(others[0]).toBeGreaterThanOrEqual(INTERVAL_MS / 2)
    expect(others[0]).toBeLessThan(INTERVAL_MS)
    others.slice(1).forEach((time, index) => expect(time - (others[index] ?? 0)).toBe(INTERVAL_MS))
  })

  test('a key has its own place, the same each time', async () => {
    const keys = Array.from({ length: 40 }, (_, i) => `pod-${i}`)
    const places = await Promise.all(keys.map(async (key) => (await timesOf(key, 2))[1]))
    expect(await Promise.all(keys.map(async (key) => (await timesOf(key, 2))[1]))).toEqual(places)
    expect(new Set(places).size).toBeGreaterThan(20)
  })

  test('collects never overlap, and slots that pass meanwhile are counted', async () => {
    const clock = new ManualClock()
    const { with: options, missed } = polling(clock)
    const stop = new AbortController()
    let open = 0
    let count = 0
    const slow = async () => {
      expect((open += 1)).toBe(1)
      count += 1
      // Deaf to the abort at its timeout: three and a half intervals.
      await clock.sleep(3.5 * INTERVAL_MS, new AbortController().signal)
      open -= 1
    }
    const done = poll(options, slow, stop.signal)
    await clock.advance(10 * INTERVAL_MS)
    expect(count).toBe(3)
    expect(missed).toEqual([3, 3])
    stop.abort()
    await clock.advance(10 * INTERVAL_MS)
    await done
  })
})

describe('failures', () => {
  test('a collect is broken off at the timeout, and the next is made', async () => {
    const clock = new ManualClock()
    const { with: options, failures } = polling(clock)
    const stop = new AbortController()
    const startMs = clock.nowMs()
    const aborts: number[] = []
    const hang = (signal: AbortSignal) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener('abort', () => {
          aborts.push(clock.nowMs() - startMs)
          reject(new Error('aborted'))
        })
      })
    const done = poll(options, hang, stop.signal)
    await clock.advance(2 * INTERVAL_MS)
    expect(aborts[0]).toBe(400)
    expect(failures.map(({ code }) => code)).toEqual(['timeout', 'timeout'])
    expect(failures[0]?.message).toBe('no whole answer within 400 ms')
    stop.abort()
    await done
    expect(clock.sleeping).toBe(0)
    expect(failures).toHaveLength(2)
  })

  test('what is thrown while stopping is no failure', async () => {
    const clock = new ManualClock()
    const { with: options, failures } = polling(clock)
    const stop = new AbortController()
    const done = poll(
      options,
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')))
        }),
      stop.signal,
    )
    await settle()
    stop.abort()
    await done
    expect(failures).toEqual([])
  })

  test('a collect that throws at once does not stop the poller', async () => {
    const clock = new ManualClock()
    const { with: options, failures } = polling(clock)
    const stop = new AbortController()
    const done = poll(
      options,
      () => {
        throw new TidelineError('wrong-type', 'a hash, not a list')
      },
      stop.signal,
    )
    await clock.advance(2 * INTERVAL_MS)
    expect(failures.map(({ code }) => code)).toEqual(['wrong-type', 'wrong-type', 'wrong-type'])
    stop.abort()
    await done
  })

  const system = (code: string) => Object.assign(new Error(`connect ${code}`), { code })
  test.each([
    [system('ECONNREFUSED'), 'refused'],
    [new AggregateError([system('ECONNREFUSED'), system('ECONNREFUSED')]), 'refused'],
    [system('ECONNRESET'), 'refused'],
    [system('ENOTFOUND'), 'not-found'],
    [system('ETIMEDOUT'), 'timeout'],
    [system('EAI_AGAIN'), 'unavailable'],
    [system('CERT_HAS_EXPIRED'), 'unauthorized'],
    [system('HPE_INVALID_CONSTANT'), 'bad-response'],
    [new DOMException('broken off', 'AbortError'), 'timeout'],
    [new TidelineError('too-large', 'x'), 'too-large'],
    ['text', 'bad-response'],
  ])('%s is %s', (thrown, code) => {
    expect(failureOf(thrown).code).toBe(code)
  })
})

describe('the gate', () => {
  test('lets so many through at a time, the others in order', async () => {
    const gate = new Gate(2)
    const stop = new AbortController()
    const releases: (() => void)[] = []
    const entered: number[] = []
    const work = (id: number) => () => {
      entered.push(id)
      return new Promise<void>((resolve) => void releases.push(resolve))
    }
    const all = [1, 2, 3, 4].map((id) => gate.pass(work(id), stop.signal))
    await settle()
    expect(entered).toEqual([1, 2])
    releases[0]?.()
    await settle()
    expect(entered).toEqual([1, 2, 3])
    releases[1]?.()
    releases[2]?.()
    await settle()
    releases[3]?.()
    await Promise.all(all)
    expect(entered).toEqual([1, 2, 3, 4])
  })

  test('one that gives up waiting leaves its place, and a failure frees one', async () => {
    const gate = new Gate(1)
    const stop = new AbortController()
    let fail: (reason: Error) => void = () => undefined
    const first = gate.pass(() => new Promise((_, reject) => (fail = reject)), stop.signal)
    const giveUp = new AbortController()
    let entered = false
    const enter = async () => void (entered = true)
    const second = gate.pass(enter, giveUp.signal)
    giveUp.abort()
    await second
    expect(entered).toBe(false)
    fail(new Error('x'))
    await expect(first).rejects.toThrow('x')
    await gate.pass(enter, stop.signal)
    expect(entered).toBe(true)
  })
})
