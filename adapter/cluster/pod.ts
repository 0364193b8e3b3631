import type { Labels } from '../../src/model.ts'
import { isRecord } from './reviews.ts'
import type { KubeObject } from './watch.ts'

/** What is kept of a pod; the rest is forgotten as soon as it was read. */
export interface Pod {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly labels: Labels
  readonly ip?: string
  readonly phase: string
  readonly ready: boolean
  readonly deleting: boolean
  /** A container of it, an init container too, was started more than once. */
  readonly restarted: boolean
  readonly ports: readonly { readonly name: string; readonly port: number }[]
  /** When it was given to a node, and when it last became or ceased to be ready; ms. */
  readonly scheduledMs?: number
  readonly readyChangedMs?: number
}

export function podOf(object: KubeObject): Pod {
  const { metadata } = object
  const status = record(object['status'])
  const spec = record(object['spec'])
  const ready = condition(status, 'Ready')
  const scheduled = condition(status, 'PodScheduled')
  const scheduledMs = scheduled['status'] === 'True' ? timeOf(scheduled) : undefined
  const readyChangedMs = timeOf(ready)
  const ip = text(status['podIP'])
  return {
    namespace: text(metadata['namespace']),
    name: metadata.name,
    uid: text(metadata['uid']),
    labels: labelsOf(metadata['labels']),
    ...(ip === '' ? {} : { ip }),
    phase: text(status['phase']),
    ready: ready['status'] === 'True',
    deleting: metadata['deletionTimestamp'] !== undefined && metadata['deletionTimestamp'] !== null,
    restarted: [
      ...list(status['initContainerStatuses']),
      ...list(status['containerStatuses']),
    ].some(({ restartCount }) => typeof restartCount === 'number' && restartCount > 0),
    ports: [...list(spec['initContainers']), ...list(spec['containers'])].flatMap(portsOf),
    ...(scheduledMs === undefined ? {} : { scheduledMs }),
    ...(readyChangedMs === undefined ? {} : { readyChangedMs }),
  }
}

type Fields = Readonly<Record<string, unknown>>

function record(value: unknown): Fields {
  return isRecord(value) ? value : {}
}

function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function condition(status: Fields, type: string): Fields {
  return list(status['conditions']).find((entry) => entry['type'] === type) ?? {}
}

function timeOf(entry: Fields): number | undefined {
  const ms = Date.parse(text(entry['lastTransitionTime']))
  return Number.isNaN(ms) ? undefined : ms
}

function labelsOf(value: unknown): Labels {
  const given = Object.entries(record(value))
  return Object.fromEntries(
    given.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

function portsOf(container: Fields) {
  return list(container['ports']).flatMap((port) => {
    const number = port['containerPort']
    const tcp = port['protocol'] === undefined || port['protocol'] === 'TCP'
    return tcp && typeof number === 'number' ? [{ name: text(port['name']), port: number }] : []
  })
}
