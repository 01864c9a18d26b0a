import { FailedLogins, type MakeLoginCounter } from './failed-logins.ts'
import { LoginThrottle } from './login-throttle.ts'

/** Makes counters of failed logins for a process with one thread. */
export const makeLocalLoginCounter: MakeLoginCounter = (_name, rules) =>
  rules === 'kong' ? new FailedLogins() : new LoginThrottle()
