import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Programs that the tests run. `variable` names one in another place than the PATH. */
export const PROGRAMS = [
  { name: 'redis-server', debianPackage: 'redis-server', variable: 'TIDELINE_REDIS_SERVER' },
  { name: 'prometheus', debianPackage: 'prometheus', variable: 'TIDELINE_PROMETHEUS' },
  { name: 'promtool', debianPackage: 'prometheus', variable: 'TIDELINE_PROMTOOL' },
  { name: 'java', debianPackage: 'default-jre-headless', variable: 'TIDELINE_JAVA' },
  { name: 'mvn', debianPackage: 'maven', variable: 'TIDELINE_MVN' },
  { name: 'openssl', debianPackage: 'openssl', variable: 'TIDELINE_OPENSSL' },
] as const

export type ProgramName = (typeof PROGRAMS)[number]['name']

/** Path of a program; undefined where it is not on this machine. */
export function binary(name: ProgramName): string | undefined {
  const variable = PROGRAMS.find((program) => program.name === name)?.variable ?? ''
  const named = process.env[variable]
  const places =
    named === undefined || named === ''
      ? (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name))
      : [named]
  return places.find(isExecutable)
}

/** Path of a program that `machine.ts` has made sure of. */
export function required(name: ProgramName): string {
  const path = binary(name)
  if (path === undefined) throw new Error(`${name} is not on this machine`)
  return path
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
