import type { Labels } from '../../src/model.ts'
import type { CustomAnswer, ExternalAnswer } from './answerShape.ts'
import { windowSeconds } from './answerShape.ts'
import { sortedKeys } from './encodeJson.ts'
import { labelSelectorOf } from './labelSelectorObject.ts'
import type { LabelSelectorObject } from './labelSelectorObject.ts'
import { ProtobufWriter } from './protobufWriter.ts'
import { formatQuantity } from './quantity.ts'
import type { Failure } from './status.ts'

/** What an `APIResourceList` says of one resource. */
export interface ApiResource {
  readonly name: string
  readonly singularName: string
  readonly namespaced: boolean
  readonly kind: string
  readonly verbs: readonly string[]
}

/**
 * Kubernetes' protobuf: `k8s\0`, then a `runtime.Unknown` with the type and the message. Fields and their
 * order follow the generated.proto files of k8s.io/metrics and apimachinery; Go writes empty strings that
 * are no pointers, and so does this, to the byte.
 */
export function externalProtobuf(answer: ExternalAnswer): Buffer {
  return envelope('external.metrics.k8s.io/v1beta1', 'ExternalMetricValueList', (list) => {
    list.message(1, listMeta)
    for (const { labels, value, dataMs, windowMs } of answer.items)
      list.message(2, (item) => {
        item.string(1, answer.metric)
        labelMap(item, 2, labels)
        timestamp(item, 3, dataMs)
        optionalSpan(item, 4, windowMs)
        item.message(5, (quantity) => quantity.string(1, formatQuantity(value)))
      })
  })
}

export function customProtobuf(answer: CustomAnswer): Buffer {
  const { version, object, namespace } = answer
  const selector = labelSelectorOf(answer.selector)
  return envelope(`custom.metrics.k8s.io/${version}`, 'MetricValueList', (list) => {
    list.message(1, listMeta)
    for (const { name, value, dataMs, windowMs } of answer.items)
      list.message(2, (item) => {
        item.message(1, (reference) => {
          reference.string(1, object.kind)
          reference.string(2, namespace)
          reference.string(3, name)
          reference.string(4, '')
          reference.string(5, object.apiVersion)
          reference.string(6, '')
          reference.string(7, '')
        })
        if (version === 'v1beta1') item.string(2, answer.metric)
        else
          item.message(2, (metric) => {
            metric.string(1, answer.metric)
            if (selector !== undefined) labelSelector(metric, 2, selector)
          })
        timestamp(item, 3, dataMs)
        optionalSpan(item, 4, windowMs)
        item.message(5, (quantity) => quantity.string(1, formatQuantity(value)))
        if (version === 'v1beta1' && selector !== undefined) labelSelector(item, 6, selector)
      })
  })
}

export function statusProtobuf({ code, reason, message, details }: Failure): Buffer {
  return envelope('v1', 'Status', (status) => {
    status.message(1, listMeta)
    status.string(2, 'Failure')
    status.string(3, message)
    status.string(4, reason)
    if (details !== undefined)
      status.message(5, (about) => {
        about.string(1, details.name ?? '')
        about.string(2, details.group ?? '')
        about.string(3, details.kind ?? '')
        about.varint(5, 0)
        about.string(6, '')
      })
    status.varint(6, code)
  })
}

export function resourceListProtobuf(
  groupVersion: string,
  resources: readonly ApiResource[],
): Buffer {
  return envelope('v1', 'APIResourceList', (list) => {
    list.string(1, groupVersion)
    for (const resource of resources)
      list.message(2, (one) => {
        one.string(1, resource.name)
        one.varint(2, resource.namespaced ? 1 : 0)
        one.string(3, resource.kind)
        one.message(4, (verbs) => {
          for (const verb of resource.verbs) verbs.string(1, verb)
        })
        one.string(6, resource.singularName)
        one.string(8, '')
        one.string(9, '')
        one.string(10, '')
      })
  })
}

const MAGIC = 'k8s\0'

function envelope(
  apiVersion: string,
  kind: string,
  write: (message: ProtobufWriter) => void,
): Buffer {
  const writer = new ProtobufWriter()
  writer.raw(MAGIC)
  writer.message(1, (type) => {
    type.string(1, apiVersion)
    type.string(2, kind)
  })
  writer.message(2, write)
  writer.string(3, '')
  writer.string(4, '')
  return writer.bytes()
}

function listMeta(meta: ProtobufWriter): void {
  meta.string(1, '')
  meta.string(2, '')
  meta.string(3, '')
}

function timestamp(writer: ProtobufWriter, field: number, ms: number): void {
  writer.message(field, (time) => {
    time.varint(1, Math.floor(ms / 1000))
    time.varint(2, 0)
  })
}

function optionalSpan(writer: ProtobufWriter, field: number, windowMs: number): void {
  const span = windowSeconds(windowMs)
  if (span > 0) writer.varint(field, span)
}

function labelMap(writer: ProtobufWriter, field: number, labels: Labels): void {
  for (const key of sortedKeys(labels))
    writer.message(field, (entry) => {
      entry.string(1, key)
      entry.string(2, labels[key] ?? '')
    })
}

function labelSelector(writer: ProtobufWriter, field: number, selector: LabelSelectorObject): void {
  writer.message(field, (message) => {
    labelMap(message, 1, selector.matchLabels ?? {})
    for (const { key, operator, values } of selector.matchExpressions ?? [])
      message.message(2, (expression) => {
        expression.string(1, key)
        expression.string(2, operator)
        for (const value of values ?? []) expression.string(3, value)
      })
  })
}
