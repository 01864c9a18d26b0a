/** Loaded before a gateway: counts its timers, and tells them on stderr at SIGUSR2. */
const running = new Set<unknown>()

function counting<Start extends (callback: () => void, wait?: number) => unknown>(
  start: Start,
  isOnce: boolean,
): Start {
  return ((callback: (...rest: unknown[]) => void, wait?: number, ...rest: unknown[]) => {
    const timer = start(() => {
      if (isOnce) running.delete(timer)
      callback(...rest)
    }, wait)
    running.add(timer)
    return timer
  }) as unknown as Start
}

function forgetting(stop: (timer?: never) => void) {
  return (timer?: never) => {
    running.delete(timer)
    stop(timer)
  }
}

const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis
Object.assign(globalThis, {
  setTimeout: counting(setTimeout as never, true),
  setInterval: counting(setInterval as never, false),
  clearTimeout: forgetting(clearTimeout as never),
  clearInterval: forgetting(clearInterval as never),
})
process.on('SIGUSR2', () => console.error(`timers: ${running.size}`))

export {}
