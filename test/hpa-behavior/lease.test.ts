import { beforeEach, describe, expect, test } from 'vitest'
import { Lease } from '../../adapter/hpa-behavior/lease.ts'
import type { Cluster, Tree } from '../../adapter/hpa-behavior/ports.ts'
import { ManualClock } from '../kit/manualClock.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'

/** One object with a resource version, as an API server keeps it. */
class OneLease {
  lease: Tree | undefined
  version = 0
  down = false

  readonly cluster: Cluster = {
    watch: () => Promise.resolve(),
    request: async (method, _path, body) => {
      if (this.down) throw Object.assign(new Error('down'), { status: 503 })
      if (method === 'GET') {
        if (this.lease === undefined) throw Object.assign(new Error('none'), { status: 404 })
        return this.lease
      }
      const sent = body as Tree & { metadata: Tree }
      const stands =
        method === 'POST'
          ? this.lease === undefined
          : sent.metadata['resourceVersion'] === String(this.version)
      if (!stands) throw Object.assign(new Error('conflict'), { status: 409 })
      this.version += 1
      this.lease = { ...sent, metadata: { ...sent.metadata, resourceVersion: String(this.version) } } // prettier-ignore
      return this.lease
    },
  }
}

let server: OneLease
let clock: ManualClock

beforeEach(() => {
  server = new OneLease()
  clock = new ManualClock()
})

function contender(identity: string) {
  const life = new AbortController()
  const turn = new Lease(
    { cluster: server.cluster, clock, log: new RecordingLogger() },
    { namespace: 'n', name: 'l', identity, durationMs: 15_000, renewMs: 5_000 },
  )
  const ended = turn.run(life.signal)
  return {
    turn,
    async end() {
      life.abort()
      await ended
    },
  }
}

describe('the turn to write', () => {
  test('is one’s alone, for as long as it is renewed', async () => {
    const a = contender('a')
    const b = contender('b')
    for (let passed = 0; passed < 60; passed++) {
      await clock.advance(1000)
      expect([a.turn.held, b.turn.held]).toEqual([true, false])
    }
    await Promise.all([a.end(), b.end()])
  })

  test('is released at the end, and taken at the next look', async () => {
    const a = contender('a')
    await clock.advance(1)
    const b = contender('b')
    await clock.advance(1)
    await a.end()
    expect(a.turn.held).toBe(false)
    await clock.advance(5000)
    expect(b.turn.held).toBe(true)
    await b.end()
  })

  test('of one that is gone is taken after its duration, not before', async () => {
    const gone = { holderIdentity: 'gone', leaseDurationSeconds: 15 }
    server.lease = { metadata: { resourceVersion: '0' }, spec: gone }
    const b = contender('b')
    await clock.advance(15_000)
    expect(b.turn.held).toBe(false)
    await clock.advance(5_000)
    expect(b.turn.held).toBe(true)
    expect(server.lease?.['spec']).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 })
    await b.end()
  })

  test('ends by one’s own clock where it cannot be renewed', async () => {
    const a = contender('a')
    await clock.advance(1)
    server.down = true
    await clock.advance(14_000)
    expect(a.turn.held).toBe(true)
    await clock.advance(1_500)
    expect(a.turn.held).toBe(false)
    await a.end()
  })
})
