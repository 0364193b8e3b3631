/** A state that is larger than its file may be. Restarts and damage are shown with a whole adapter: test/adapter/state.test.ts */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Clock } from '../../src/ports.ts'
import { openState } from '../../src/store/stateFile.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'

const ENTRY_BYTES = 4 * 1024 * 1024
const FILE_BYTES = 64 * 1024 * 1024

test('what has no room is not written, not even made, and the log says so', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'state-'))
  const file = join(folder, 'state')
  const log = new RecordingLogger()
  const stopping = new AbortController()
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: () => Promise.resolve(stopping.abort()),
  }
  let made = 0
  const recalled: (readonly unknown[])[] = []
  const engine = {
    *remember() {
      for (; made < 100; made++) yield { made, what: 'x'.repeat(ENTRY_BYTES) }
    },
    recall: (entries: readonly unknown[]) => void recalled.push(entries),
  }
  try {
    const spec = { file, every: 1000 }
    const [writing] = await openState(spec, engine, { clock, log })
    await writing?.run(stopping.signal)
    expect((await stat(file)).size).toBeLessThan(FILE_BYTES + 200)
    expect(made).toBeLessThanOrEqual(FILE_BYTES / ENTRY_BYTES)
    await openState(spec, engine, { clock, log })
    expect(recalled[1]).toHaveLength(FILE_BYTES / ENTRY_BYTES - 1)
    expect(recalled[1]?.[3]).toMatchObject({ made: 3 })
    expect(log.entries.map(({ event }) => event)).toEqual(['state-none', 'state-too-large'])
  } finally {
    await rm(folder, { recursive: true })
  }
})
