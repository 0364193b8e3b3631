/**
 * One seed for every property test, so that a run can be repeated; another one by TIDELINE_SEED, to search
 * further. fast-check prints seed and path of what fails.
 */
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env['TIDELINE_SEED'] ?? 20_261_128) })
