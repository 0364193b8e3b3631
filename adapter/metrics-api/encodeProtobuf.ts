import type { Labels } from '../../src/model.ts'
import type { CustomAnswer, CustomItem, ExternalAnswer, ExternalItem } from './answerShape.ts'
import { windowSeconds } from './answerShape.ts'
import { sortedKeys } from './encodeJson.ts'
import { labelSelectorOf } from './labelSelectorObject.ts'
import type { LabelSelectorObject } from './labelSelectorObject.ts'
import { messageField, stringField, varintField } from './protobufText.ts'
import type { ByteText } from './protobufText.ts'
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

const LIST_META = messageField(1, stringField(1, '') + stringField(2, '') + stringField(3, ''))

/**
 * Kubernetes' protobuf: `k8s\0`, then a `runtime.Unknown` with the type and the message. Fields and their
 * order follow the generated.proto files of k8s.io/metrics and apimachinery; Go writes empty strings that
 * are no pointers, and so does this, to the byte.
 */
export function externalProtobuf({ metric, items }: ExternalAnswer): ByteText {
  const name = stringField(1, metric)
  let list = LIST_META
  for (const item of items) {
    const labels = labelMap(2, item.labels)
    list += messageField(2, name + labels + timestamp(3, item) + span(4, item) + quantity(5, item))
  }
  return envelope('external.metrics.k8s.io/v1beta1', 'ExternalMetricValueList', list)
}

export function customProtobuf(answer: CustomAnswer): ByteText {
  const { version, object, namespace, metric } = answer
  const selector = labelSelectorOf(answer.selector)
  const first = version === 'v1beta1'
  const chosen = selector === undefined ? '' : labelSelector(first ? 6 : 2, selector)
  const name = stringField(1, metric)
  const about = first ? stringField(2, metric) : messageField(2, name + chosen)
  const last = first ? chosen : ''
  const before = stringField(1, object.kind) + stringField(2, namespace)
  const after =
    stringField(4, '') + stringField(5, object.apiVersion) + stringField(6, '') + stringField(7, '')
  let list = LIST_META
  for (const item of answer.items) {
    const reference = messageField(1, before + stringField(3, item.name) + after)
    const value = timestamp(3, item) + span(4, item) + quantity(5, item)
    list += messageField(2, reference + about + value + last)
  }
  return envelope(`custom.metrics.k8s.io/${version}`, 'MetricValueList', list)
}

export function statusProtobuf({ code, reason, message, details }: Failure): ByteText {
  const about =
    details === undefined
      ? ''
      : messageField(
          5,
          stringField(1, details.name ?? '') +
            stringField(2, details.group ?? '') +
            stringField(3, details.kind ?? '') +
            varintField(5, 0) +
            stringField(6, ''),
        )
  const texts = stringField(2, 'Failure') + stringField(3, message) + stringField(4, reason)
  return envelope('v1', 'Status', LIST_META + texts + about + varintField(6, code))
}

export function resourceListProtobuf(
  groupVersion: string,
  resources: readonly ApiResource[],
): ByteText {
  let list = stringField(1, groupVersion)
  for (const resource of resources) {
    const verbs = resource.verbs.map((verb) => stringField(1, verb)).join('')
    list += messageField(
      2,
      stringField(1, resource.name) +
        varintField(2, resource.namespaced ? 1 : 0) +
        stringField(3, resource.kind) +
        messageField(4, verbs) +
        stringField(6, resource.singularName) +
        stringField(8, '') +
        stringField(9, '') +
        stringField(10, ''),
    )
  }
  return envelope('v1', 'APIResourceList', list)
}

const MAGIC = 'k8s\0'
const NO_ENCODING = stringField(3, '') + stringField(4, '')

function envelope(apiVersion: string, kind: string, message: ByteText): ByteText {
  const type = messageField(1, stringField(1, apiVersion) + stringField(2, kind))
  return MAGIC + type + messageField(2, message) + NO_ENCODING
}

type Item = ExternalItem | CustomItem

function timestamp(field: number, { dataMs }: Item): ByteText {
  return messageField(field, varintField(1, Math.floor(dataMs / 1000)) + varintField(2, 0))
}

function span(field: number, { windowMs }: Item): ByteText {
  const seconds = windowSeconds(windowMs)
  return seconds > 0 ? varintField(field, seconds) : ''
}

function quantity(field: number, { value }: Item): ByteText {
  return messageField(field, stringField(1, formatQuantity(value)))
}

function labelMap(field: number, labels: Labels): ByteText {
  let map = ''
  for (const key of sortedKeys(labels))
    map += messageField(field, stringField(1, key) + stringField(2, labels[key] ?? ''))
  return map
}

function labelSelector(field: number, selector: LabelSelectorObject): ByteText {
  let content = labelMap(1, selector.matchLabels ?? {})
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const given = (values ?? []).map((value) => stringField(3, value)).join('')
    content += messageField(2, stringField(1, key) + stringField(2, operator) + given)
  }
  return messageField(field, content)
}
