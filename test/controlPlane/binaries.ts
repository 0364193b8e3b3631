/**
 * The programs of a Kubernetes control plane. Each is looked for, in this order, in `$KUBEBUILDER_ASSETS` (where
 * envtest puts them), in the cache folder, and in the PATH; if one is nowhere, all are built from their Go
 * modules into the cache folder.
 */
import { renameSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { isExecutable } from '../setup/programs.ts'
import type { GoModule } from './goBuild.ts'
import { build, cacheFolder } from './goBuild.ts'

const NAMES = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'] as const
export type Binary = (typeof NAMES)[number]
export type Binaries = Readonly<Record<Binary, string>>

const VERSION = 'v1.36.3'
const STAMP = 'k8s.io/component-base/version'
const MODULE: GoModule = {
  what: `the control plane ${VERSION}`,
  name: 'control-plane',
  folder: join(import.meta.dirname, 'tools'),
  flags: [
    '-mod=readonly',
    '-trimpath',
    '-ldflags',
    // kubectl cannot compare versions where none is stamped.
    `-s -w -X ${STAMP}.gitVersion=${VERSION} -X ${STAMP}.gitMajor=1 -X ${STAMP}.gitMinor=36`,
  ],
  // The module go.etcd.io/etcd/server/v3 names its program after its folder.
  finish: (built) => renameSync(join(built, 'server'), join(built, 'etcd')),
}

/** Paths of all programs. Throws, saying what to install, where they are nowhere and cannot be built. */
export async function controlPlaneBinaries(): Promise<Binaries> {
  const assets = process.env['KUBEBUILDER_ASSETS'] ?? ''
  const path = (process.env['PATH'] ?? '').split(delimiter)
  const cache = cacheFolder(MODULE)
  const places = [assets, cache ?? '', ...path].filter((place) => place !== '')
  const missing = NAMES.filter((name) => find(name, places) === undefined)
  if (missing.length > 0) {
    if (cache === undefined)
      throw new Error(
        `${missing.join(', ')}: not in KUBEBUILDER_ASSETS nor in the PATH, and there is no Go (1.21 or later) to build them`,
      )
    await build(MODULE, cache)
  }
  const required = (name: Binary): string => {
    const found = find(name, places)
    if (found === undefined) throw new Error(`${name} was built and is not in ${cache}`)
    return found
  }
  return {
    etcd: required('etcd'),
    'kube-apiserver': required('kube-apiserver'),
    'kube-controller-manager': required('kube-controller-manager'),
    kubectl: required('kubectl'),
  }
}

function find(name: Binary, places: readonly string[]): string | undefined {
  return places.map((place) => join(place, name)).find(isExecutable)
}
