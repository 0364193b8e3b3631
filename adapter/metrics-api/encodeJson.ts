import type { CustomAnswer, ExternalAnswer } from './answerShape.ts'
import { windowSeconds } from './answerShape.ts'
import type { Labels } from '../../src/model.ts'
import { formatQuantity } from './quantity.ts'
import type { ParsedSelector } from './selector.ts'
import { labelSelectorOf } from './labelSelectorObject.ts'
import type { Failure } from './status.ts'

const EXTERNAL_HEAD =
  '{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":['
const CUSTOM_HEAD = {
  v1beta1:
    '{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta1","metadata":{},"items":[',
  v1beta2:
    '{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[',
}

/** `ExternalMetricValueList`; field order and names as apimachinery writes them. */
export function externalJson(answer: ExternalAnswer): string {
  const name = `{"metricName":${quote(answer.metric)},"metricLabels":`
  let text = EXTERNAL_HEAD
  let separator = ''
  for (const { labels, value, dataMs, windowMs } of answer.items) {
    const span = windowSeconds(windowMs)
    text += `${separator}${name}${labelsJson(labels)},"timestamp":"${rfc3339(dataMs)}"${
      span === 0 ? '' : `,"window":${span}`
    },"value":"${formatQuantity(value)}"}`
    separator = ','
  }
  return `${text}]}`
}

/** `MetricValueList`. The two versions differ in where the metric's name and selector stand, and in `window`. */
export function customJson(answer: CustomAnswer): string {
  const { version, namespace, object } = answer
  const scope = namespace === '' ? '' : `"namespace":${quote(namespace)},`
  const head = `{"describedObject":{"kind":${quote(object.kind)},${scope}"name":`
  const selector = selectorJson(answer.selector)
  const metric = quote(answer.metric)
  const old = version === 'v1beta1'
  const middle = `,"apiVersion":${quote(object.apiVersion)}},${
    old ? `"metricName":${metric}` : `"metric":{"name":${metric},"selector":${selector}}`
  },"timestamp":"`
  const spanKey = old ? ',"window":' : ',"windowSeconds":'
  const tail = old ? `","selector":${selector}}` : '"}'
  let text = CUSTOM_HEAD[version]
  let separator = ''
  for (const { name, value, dataMs, windowMs } of answer.items) {
    const span = windowSeconds(windowMs)
    text += `${separator}${head}${quote(name)}${middle}${rfc3339(dataMs)}"${
      span === 0 ? '' : `${spanKey}${span}`
    },"value":"${formatQuantity(value)}${tail}`
    separator = ','
  }
  return `${text}]}`
}

export function statusJson({ code, reason, message, details }: Failure): string {
  return JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  })
}

function selectorJson(selector: ParsedSelector): string {
  const object = labelSelectorOf(selector)
  return object === undefined ? 'null' : JSON.stringify(object)
}

function labelsJson(labels: Labels): string {
  const keys = sortedKeys(labels)
  let text = '{'
  let separator = ''
  for (const key of keys) {
    text += `${separator}${quote(key)}:${quote(labels[key] ?? '')}`
    separator = ','
  }
  return `${text}}`
}

export function sortedKeys(labels: Labels): string[] {
  const keys = Object.keys(labels)
  return keys.length > 1 ? keys.sort() : keys
}

/** Characters that stand for themselves in JSON; nearly every name and label. */
const PLAIN = /^[\w .:;,/|=+*@$%()[\]{}~!?#'^-]*$/

function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text)
}

let lastSecond = NaN
let lastText = ''

/** `metav1.Time`: whole seconds, UTC. The items of an answer mostly share theirs, so the last is kept. */
export function rfc3339(ms: number): string {
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastText = `${new Date(second * 1000).toISOString().slice(0, 19)}Z`
    lastSecond = second
  }
  return lastText
}
