/** What the demo shows: a screen that is drawn again on a terminal, a line a step elsewhere. */
import type { Asked } from './loop.ts'
import { PODS_PATH } from './loop.ts'
import type { Pod } from './pods.ts'

export interface Frame {
  readonly second: number
  readonly load: number
  readonly pods: readonly Pod[]
  readonly waiting: number
  readonly port: number
  readonly folder: string
  readonly asked: Asked
}

const BAR_MAX = 60

export function drawFrame(frame: Frame): void {
  const text = process.stdout.isTTY ? screen(frame) : line(frame)
  process.stdout.write(`${text}\n`)
}

/** How to ask the demo's adapter oneself. */
export function whereToLook(folder: string, port: number): string {
  return [
    `curl --cacert ${folder}/ca.crt --cert ${folder}/client.crt --key ${folder}/client.key \\`,
    `  'https://localhost:${port}${PODS_PATH}'`,
    `the adapter's own metrics: https://localhost:${port}/metrics`,
  ].join('\n')
}

const ANSWER_LENGTH_MAX = 90

function short(answer: string): string {
  return answer.length > ANSWER_LENGTH_MAX ? `${answer.slice(0, ANSWER_LENGTH_MAX)}…` : answer
}

function line({ second, load, pods, waiting, asked }: Frame): string {
  const others = asked.others.map(({ name, answer }) => `${name}=${short(answer)}`).join(' ')
  const ready = pods.filter((pod) => pod.ready).length
  return `${String(second).padStart(4)} s  load ${load.toFixed(1)}/s  pods ${ready}/${pods.length} ready  waiting ${waiting.toFixed(0)}  http_requests_per_second: ${short(asked.answer)}  ${others}`
}

function screen(frame: Frame): string {
  const { second, load, pods, waiting, port, folder, asked } = frame
  const bar = '█'.repeat(Math.min(BAR_MAX, Math.round(load)))
  const row = pods.map((pod) => (pod.ready ? '●' : '○')).join(' ')
  return [
    '\u001b[2J\u001b[H\u001b[1mTideline demo\u001b[0m   Ctrl-C ends it',
    '',
    `time     ${second} s`,
    `load     ${bar} ${load.toFixed(1)} requests/s`,
    `pods     ${row}   (● ready, ○ starting)`,
    `waiting  ${waiting.toFixed(0)} requests`,
    '',
    '\u001b[1mWhat the autoscaler asked\u001b[0m',
    `GET ${asked.path}`,
    `    ${asked.answer}`,
    ...asked.others.map(({ name, answer }) => `${name}: ${answer}`),
    '',
    '\u001b[1mLook for yourself\u001b[0m',
    whereToLook(folder, port),
    '',
  ].join('\n')
}
