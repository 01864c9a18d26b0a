import { FailedLogins } from './failed-logins.ts'
import type { MakeLoginCounter } from './login-counter.ts'
import { LoginThrottle } from './login-throttle.ts'

/** Makes counters of failed logins for a process with one thread. */
export const makeLocalLoginCounter: MakeLoginCounter = (_name, rules) =>
  rules === 'kong' ? new FailedLogins() : new LoginThrottle()
