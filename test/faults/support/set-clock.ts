/** Loaded before a gateway: at each SIGUSR2 its clock jumps, an hour on and then two back, in turns. */
const HOUR = 3_600_000
const now = Date.now.bind(Date)
let shift = 0

Date.now = () => now() + shift
globalThis.Date = new Proxy(Date, {
  construct: (date, given) => Reflect.construct(date, given.length > 0 ? given : [date.now()]),
})
process.on('SIGUSR2', () => {
  shift += shift > 0 ? -2 * HOUR : HOUR
  console.error(`clock: ${shift}`)
})

export {}
