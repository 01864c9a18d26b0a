/** Reads that end: groups beside the REST proxies of others, forms of a replay, a cold group, many topics. */
import { type Scenario, SIZES, type Size } from '../scenario.ts'
import { runSize } from './forms.ts'
import { group } from './group.ts'
import { byTopics } from './growth.ts'
import { restColdGroup } from './rest-cold-group.ts'
import { restGroups } from './rest-groups.ts'

export const rest: Scenario = {
  name: 'rest',
  summary:
    'records/s of polls as a group, to the REST proxies in the folder BENCH_PEERS; what bounds other reads that end',
  async run(bench) {
    return [
      ...(await restGroups(bench)),
      ...(await group.run(bench)),
      ...(await runSize(bench, SIZES.at(-1) as Size)),
      ...(await restColdGroup(bench)),
      ...(await byTopics(bench)),
    ]
  },
}
