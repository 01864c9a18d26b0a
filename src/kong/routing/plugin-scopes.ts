/** Finds the plugins that apply to a request, by Kong's precedence. */
import type { KongPlugin, KongRoute } from '../model/entities.ts'

/** The enabled plugins of a snapshot, by name and scope. */
export class PluginScopes {
  readonly #byName = new Map<string, Map<string, KongPlugin>>()
  /** Plugins of consumers, by name: they are few, while each of many routes may have a plugin. */
  readonly #ofConsumers = new Map<string, KongPlugin[]>()

  constructor(plugins: readonly KongPlugin[]) {
    for (const plugin of plugins) {
      const { name, enabled, protocols, consumer, route, service } = plugin
      if (!enabled || !protocols.some((protocol) => /^(?:https?|wss?)$/.test(protocol))) continue
      const scopes = this.#byName.get(name) ?? new Map<string, KongPlugin>()
      scopes.set(keyOfScope(consumer?.id, route?.id, service?.id), plugin)
      this.#byName.set(name, scopes)
      if (!consumer) continue
      const own = this.#ofConsumers.get(name)
      if (own) own.push(plugin)
      else this.#ofConsumers.set(name, [plugin])
    }
  }

  /**
   * The one plugin of a name that applies: the most specific, by Kong's precedence.
   *
   * @param consumer The id of the consumer, where one is known.
   */
  find(
    name: string,
    { id, service }: Pick<KongRoute, 'id' | 'service'>,
    consumer: string | undefined,
  ): KongPlugin | undefined {
    const scopes = this.#byName.get(name)
    if (!scopes) return undefined
    const of = (consumer?: string) => ({
      both: service ? scopes.get(keyOfScope(consumer, id, service.id)) : undefined,
      route: scopes.get(keyOfScope(consumer, id, undefined)),
      service: service ? scopes.get(keyOfScope(consumer, undefined, service.id)) : undefined,
      alone: scopes.get(keyOfScope(consumer, undefined, undefined)),
    })
    const own = consumer === undefined ? undefined : of(consumer)
    const common = of()
    return (
      own?.both ??
      own?.route ??
      own?.service ??
      common.both ??
      own?.alone ??
      common.route ??
      common.service ??
      common.alone
    )
  }

  /** All plugins of a name that some request to a route may go through. */
  *on(name: string, route: KongRoute): Generator<KongPlugin> {
    const common = this.find(name, route, undefined)
    if (common) yield common
    for (const plugin of this.#ofConsumers.get(name) ?? []) {
      if (this.find(name, route, plugin.consumer?.id) === plugin) yield plugin
    }
  }

  /** All plugins of a name. */
  all(name: string): Iterable<KongPlugin> {
    return this.#byName.get(name)?.values() ?? []
  }
}

function keyOfScope(
  consumer: string | undefined,
  route: string | undefined,
  service: string | undefined,
) {
  return `${consumer ?? ''}/${route ?? ''}/${service ?? ''}`
}
