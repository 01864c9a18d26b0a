import type { ResolvedOptions } from '../config/options.ts'
import { jsonStep } from '../record/json.ts'
import { Preparation } from '../record/preparation.ts'
import { prepareBy, type Step } from '../record/prepare.ts'
import { transformStep } from '../record/transform.ts'
import { registrySteps } from '../registry/step.ts'

/** The options that {@link preparationFor} looks at; functions are compared by identity. */
export function preparedBy({ registries, transform }: ResolvedOptions): readonly unknown[] {
  return [[...registries], idOf(transform)]
}

/** The preparation that a route's options ask for; undefined when records need none. */
export function preparationFor(options: ResolvedOptions): Preparation | undefined {
  const { messageDeserializer, registries, transform } = options
  const steps: Step[] = []
  if (registries.size > 0) steps.push(...registrySteps(registries))
  if (transform) {
    if (messageDeserializer === 'json') steps.push(jsonStep)
    steps.push(transformStep(transform))
  }
  if (steps.length === 0) return undefined
  return new Preparation(prepareBy(steps), async () => {
    await Promise.all(steps.map((step) => step.close?.()))
  })
}

const ids = new WeakMap<object, number>()
let count = 0

/** A number for a function, the same each time. */
function idOf(value: object | undefined): number {
  if (!value) return 0
  let id = ids.get(value)
  if (id === undefined) {
    id = ++count
    ids.set(value, id)
  }
  return id
}
