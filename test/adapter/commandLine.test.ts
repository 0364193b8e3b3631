import { describe, expect, test } from 'vitest'
import { parseCommandLine, USAGE } from '../../adapter/commandLine.ts'
import { momentMs } from '../../adapter/timeFlags.ts'

const read = (...args: string[]) => parseCommandLine(args, {})
const prometheus = (...args: string[]) =>
  read('replay', '--prometheus', 'https://prometheus:9090', '--query', 'sum(x)', ...args)

describe('replay --prometheus', () => {
  test('takes a week at 15 s unless told otherwise', () => {
    expect(prometheus()).toMatchObject({
      command: 'replay',
      traces: [],
      range: {
        connection: {
          url: 'https://prometheus:9090',
          headers: {},
          tls: { insecureSkipVerify: false },
        },
        query: 'sum(x)',
        from: { agoMs: 7 * 86_400_000 },
        to: { agoMs: 0 },
        stepMs: 15_000,
      },
    })
  })

  test('times are spans ago, or instants with a zone', () => {
    const from = (text: string) => {
      const options = prometheus('--from', text)
      if (options.command !== 'replay' || options.range === undefined) throw new Error(text)
      return momentMs(options.range.from, 1_000_000_000_000)
    }
    expect(from('1h30m')).toBe(1_000_000_000_000 - 5_400_000)
    expect(from('2001-09-09T01:46:40Z')).toBe(1_000_000_000_000)
    expect(from('2001-09-09T03:46:40.5+02:00')).toBe(1_000_000_000_500)
  })

  test('says who asks as a source does', () => {
    const flags = ['--ca-file', 'ca', '--cert-file', 'c', '--key-file', 'k', '--server-name', 'n']
    const options = prometheus(...flags, '--token-file', 't', '--header', 'X-Scope-OrgID=a=b')
    expect(options).toMatchObject({
      range: {
        connection: {
          auth: { bearerToken: { file: 't' } },
          tls: { ca: { file: 'ca' }, cert: { file: 'c' }, key: { file: 'k' }, serverName: 'n' },
          headers: { 'X-Scope-OrgID': 'a=b' },
        },
      },
    })
  })

  test.each([
    [['--from', '7'], '--from is "7": how long ago, such as 7d, or a time such as'],
    [['--from', '2026-05-01'], '--from is "2026-05-01"'],
    [['--from', '2026-05-41T00:00:00Z'], '--from is "2026-05-41T00:00:00Z"'],
    [['--step', '0s'], '--step is "0s": a duration such as 15s'],
    [['--step', '15'], '--step is "15"'],
    [['--trace', 'a'], '--trace and --prometheus: give one'],
    [['--query', ' '], '--prometheus needs --query'],
    [['--cert-file', 'a'], '--cert-file and --key-file: give both or none'],
    [['--user', 'a'], '--user and --password-file: give both or none'],
    [['--token-file', 'a', '--user', 'a', '--password-file', 'b'], '--token-file and --user'],
    [['--header', 'authorization=x'], '--header authorization is not to be set'],
    [['--header', 'x: y'], '--header is not NAME=VALUE'],
  ])('%j is refused', (args, message) => {
    expect(() => prometheus(...args)).toThrow(message)
  })

  test.each([
    [['replay'], 'replay needs --trace FILE, or --prometheus URL and --query PROMQL'],
    [['replay', '--trace', 'a', '--step', '1s'], '--step says nothing without --prometheus'],
    [
      ['replay', '--prometheus', 'prometheus:9090', '--query', 'x'],
      '--prometheus is "prometheus:9090": an http:// or',
    ],
    [['replay', '--prometheus', 'http://a:secret@b', '--query', 'x'], 'must not hold credentials'],
  ])('%j is refused', (args, message) => {
    expect(() => read(...args)).toThrow(message)
    expect(() => read(...args)).not.toThrow('secret')
  })
})

describe('record', () => {
  const record = (...args: string[]) => read('record', ...args)
  const adapter = ['--adapter', 'https://a:6443']

  test('takes a row each 15 s until it is told to stop', () => {
    expect(record(...adapter, '--signal', 'a/b')).toEqual({
      command: 'record',
      connection: { url: 'https://a:6443', headers: {}, tls: { insecureSkipVerify: false } },
      signals: ['a/b'],
      everyMs: 15_000,
    })
    expect(record(...adapter, '--signal', 'b', '--every', '1m', '--for', '2h')).toMatchObject({
      everyMs: 60_000,
      forMs: 7_200_000,
    })
  })

  test.each([
    [['--signal', 'a'], 'record needs --adapter, such as https://127.0.0.1:6443'],
    [['--adapter', 'a:6443', '--signal', 'a'], '--adapter is "a:6443": an http:// or https:// URL'],
    [adapter, 'record needs --signal'],
    [[...adapter, '--signal', 'a', '--signal', 'b'], 'name a folder for them by --out'],
    [[...adapter, '--signal', 'a', '--every', '0s'], '--every is "0s"'],
    [[...adapter, '--signal', 'a', '--for', 'ever'], '--for is "ever": a duration such as'],
  ])('%j is refused', (args, message) => {
    expect(() => record(...args)).toThrow(message)
  })
})

test('replay takes one signal', () => {
  expect(() => read('replay', '--trace', 'a', '--signal', 'a', '--signal', 'b')).toThrow(
    '--signal is there twice',
  )
})

test('the usage fits a terminal', () => {
  const long = USAGE.split('\n').filter((line) => line.length > 120)
  expect(long).toEqual([])
})
