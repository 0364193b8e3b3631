/** From what the API server tells of a pod to how long it took to start. */
import { describe, expect, test } from 'vitest'
import type { PodStartUp } from '../../src/ports.ts'
import { podOf } from '../../adapter/cluster/pod.ts'
import { PodStarts } from '../../adapter/cluster/podStarts.ts'

const BEGIN_MS = Date.UTC(2026, 0, 5)
/** A second of the test's own time as the API server writes it. */
const at = (second: number) => `${new Date(BEGIN_MS + second * 1000).toISOString().slice(0, 19)}Z`

interface Told {
  /** Since when it has a node; left out: it has none. */
  readonly scheduled?: number
  /** Since when it is ready, or is not; left out: no kubelet has said. */
  readonly ready?: number
  readonly notReady?: number
  readonly restarts?: number
  readonly initRestarts?: number
  readonly uid?: string
  readonly app?: string
  readonly namespace?: string
  /** It comes from a list. */
  readonly listed?: true
}

function podFrom(told: Told) {
  const { scheduled, ready, notReady, uid = 'u', app = 'vision', namespace = 'default' } = told
  const { restarts = 0, initRestarts = 0 } = told
  const condition = (type: string, status: string, second: number) => ({
    type,
    status,
    lastTransitionTime: at(second),
  })
  const readySince = ready ?? notReady
  return podOf({
    metadata: { name: uid, namespace, uid, labels: { app } },
    status: {
      phase: 'Running',
      conditions: [
        scheduled === undefined
          ? condition('PodScheduled', 'False', -100)
          : condition('PodScheduled', 'True', scheduled),
        ...(readySince === undefined
          ? []
          : [condition('Ready', ready === undefined ? 'False' : 'True', readySince)]),
      ],
      initContainerStatuses: [{ name: 'i', restartCount: initRestarts }],
      containerStatuses: [{ name: 'c', restartCount: restarts }],
    },
  })
}

function told(sequence: readonly Told[]): PodStartUp[] {
  const starts = new PodStarts()
  const heard: PodStartUp[] = []
  const vision = { namespace: 'default', matches: ({ app = '' }) => app === 'vision' }
  starts.listen({ ...vision, told: (one) => void heard.push(one) })
  for (const one of sequence) starts.put(podFrom(one), one.listed === true)
  return heard
}

/** `L`: from a list; `s0`: scheduled at 0 s; `n1`: not ready since 1 s; `r9`: ready since 9 s; `x1`, `i1`: restarts. */
function parse(words: string): Told {
  const fields = { s: 'scheduled', n: 'notReady', r: 'ready', x: 'restarts', i: 'initRestarts' }
  const tokens = words.trim().split(' ')
  const numbers = tokens.flatMap((token) => {
    const field = Object.entries(fields).find(([letter]) => token.startsWith(letter))?.[1]
    return field === undefined ? [] : [[field, Number(token.slice(1))]]
  })
  return { ...Object.fromEntries(numbers), ...(tokens.includes('L') ? { listed: true } : {}) }
}

describe('one pod', () => {
  test.each([
    ['from its creation', '- ; s0 ; s0 n1 ; s0 r92', '92 witnessed'],
    ['that waited for a node, which is no start-up', '- ; s600 n601 ; s600 r640', '40 witnessed'],
    ['that starts while it is listed', 'L s0 n1 ; s0 r60', '60 witnessed'],
    ['ready at once', 's5 r5', '0 found'],
    ['found ready', 'L s0 r75', '75 found'],
    ['found ready again and again', 'L s0 r75 ; L s0 r75', '75 found'],
    ['that became ready between two lists', 'L s0 n1 ; L s0 r80', '80 found'],
    ['ready, not ready, ready: once', 's0 n1 ; s0 r30 ; s0 n50 ; s0 r70', '30 witnessed'],
    ['quick, and back within seconds', 's0 n0 ; s0 r2 ; s0 n4 ; s0 r70', '2 witnessed'],
    ['found not ready, and it was before', 'L s0 n300 ; s0 r310', ''],
    ['that was ready for a while between two lists', 's0 n1 ; L s0 n100 ; s0 r130', ''],
    ['whose kubelet was slow to speak', 's0 ; s0 n25 ; s0 r90', '90 witnessed'],
    ['that crashed before it was ready', 's0 n1 ; s0 n1 x1 ; s0 r90 x1', ''],
    ['whose init container crashed', 's0 n1 ; s0 r90 i2', ''],
    ['found ready after a restart', 'L s0 r90 x1', ''],
    ['that crashes later', 's0 n1 ; s0 r30 ; s0 n99 x1 ; s0 r130 x1', '30 witnessed'],
    ['ready before it had a node, by clocks that differ', 's10 ; s10 r8', '-2 witnessed'],
    ['ready without a node', 'r8', ''],
  ])('%s: %s', (_name, sequence, expected) => {
    const heard = told(sequence.split(';').map(parse))
    const texts = heard.map((one) => `${one.ms / 1000} ${one.witnessed ? 'witnessed' : 'found'}`)
    expect(texts.join()).toBe(expected)
    for (const { pod, readyMs, ms } of heard) {
      expect(pod).toBe('u')
      expect(readyMs - ms).toBeGreaterThanOrEqual(BEGIN_MS)
    }
  })

  test('of another app or namespace is not told of', () => {
    expect(told([{ app: 'x' }, { app: 'x', scheduled: 0, ready: 8 }])).toEqual([])
    expect(told([{ namespace: 'x' }, { namespace: 'x', scheduled: 0, ready: 8 }])).toEqual([])
  })
})

test('who listens later hears of the pods that there are, and no more when he ends', () => {
  const starts = new PodStarts()
  const start = (uid: string, ready: number) => {
    starts.put(podFrom({ uid }), false)
    starts.put(podFrom({ uid, scheduled: 0, ready }), false)
  }
  start('a', 10)
  start('b', 20)
  starts.remove(podFrom({ uid: 'b' }))
  const heard: string[] = []
  const all = { namespace: undefined, matches: () => true }
  const end = starts.listen({ ...all, told: ({ pod }) => void heard.push(pod) })
  start('c', 30)
  end()
  start('d', 40)
  expect(heard).toEqual(['a', 'c'])
})

test('labels are those of now, and one that is made anew under its name is another', () => {
  const starts = new PodStarts()
  starts.put(podFrom({ app: 'x', scheduled: 0, ready: 10 }), true)
  starts.put(podFrom({ app: 'vision', scheduled: 0, ready: 10 }), false)
  const heard: string[] = []
  const listener = { namespace: 'default', matches: ({ app = '' }) => app === 'vision' }
  starts.listen({ ...listener, told: ({ pod }) => void heard.push(pod) })
  starts.remove(podFrom({}))
  starts.put(podFrom({ uid: 'u2' }), false)
  starts.put(podFrom({ uid: 'u2', scheduled: 50, ready: 90 }), false)
  expect(heard).toEqual(['u', 'u2'])
})
