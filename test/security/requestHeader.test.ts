import { describe, expect, test } from 'vitest'
import { requestHeaderReader } from '../../adapter/security/requestHeader.ts'

const names = {
  usernameHeaders: ['X-Remote-User'],
  groupHeaders: ['X-Remote-Group'],
  extraPrefixes: ['X-Remote-Extra-'],
  uidHeaders: [],
}

describe('requestHeaderReader', () => {
  test('reads repeated groups, none split at its comma', () => {
    const read = requestHeaderReader(names)
    expect(
      read(
        [
          ['Host', 'x', 'X-Remote-User', 'system:serviceaccount:kube-system:hpa'],
          ['X-Remote-Group', 'a,b', 'x-remote-group', 'c, d', 'X-REMOTE-GROUP', 'e'],
        ].flat(),
      ),
    ).toEqual({
      name: 'system:serviceaccount:kube-system:hpa',
      groups: ['a,b', 'c, d', 'e'],
      extra: {},
    })
  })

  test('extra keys are lower-cased, then percent-decoded; broken encoding stands', () => {
    const read = requestHeaderReader(names)
    const user = read(
      [
        ['x-remote-user', 'u'],
        ['X-Remote-Extra-Authentication.kubernetes.io%2FCredential-ID', 'JTI=1'],
        ['x-remote-extra-authentication.kubernetes.io%2fcredential-id', 'JTI=2'],
        ['x-remote-extra-100%', 'y'],
        ['x-remote-extra-__proto__', 'z'],
      ].flat(),
    )
    expect(Object.entries(user?.extra ?? {})).toEqual([
      ['authentication.kubernetes.io/credential-id', ['JTI=1', 'JTI=2']],
      ['100%', ['y']],
      ['__proto__', ['z']],
    ])
  })

  test('the uid is read only where a header is configured for it', () => {
    const headers = ['x-remote-user', 'u', 'x-remote-uid', '42']
    expect(requestHeaderReader(names)(headers)).not.toHaveProperty('uid')
    const read = requestHeaderReader({ ...names, uidHeaders: ['X-Remote-Uid'] })
    expect(read(headers)?.uid).toBe('42')
  })

  test('no name, no user', () => {
    const read = requestHeaderReader(names)
    expect(read(['Host', 'x'])).toBeUndefined()
    expect(read(['x-remote-group', 'system:masters'])).toBeUndefined()
    expect(read(['x-remote-user', '', 'x-remote-group', 'system:masters'])).toBeUndefined()
  })

  test('equal headers give the same object, different ones never', () => {
    const read = requestHeaderReader(names)
    const headers = ['x-remote-user', 'u', 'x-remote-group', 'g']
    expect(read(['host', 'a', ...headers])).toBe(read([...headers, 'host', 'b']))
    expect(read(headers)).not.toBe(read(['x-remote-user', 'u', 'x-remote-group', 'h']))
  })

  test('names are UTF-8', () => {
    const read = requestHeaderReader(names)
    expect(read(['x-remote-user', Buffer.from('jürgen').toString('latin1')])?.name).toBe('jürgen')
    expect(() => read(['x-remote-user', 'j\u00fcrgen'])).toThrow(RangeError)
  })
})
