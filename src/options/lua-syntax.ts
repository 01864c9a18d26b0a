import { type Node, parse } from 'luaparse'

/**
 * What is wrong with the text of a Lua function: `return function(message) … end`, or the function
 * alone. Undefined where nothing is, as far as that shows without running it.
 */
export function luaMistake(text: string): string | undefined {
  const expression = bodyOf(`return ${text}`)
  const body = typeof expression === 'string' ? bodyOf(text) : expression
  if (typeof body === 'string') return `it is no Lua: ${body}`
  const last = body.at(-1)
  if (last?.type !== 'ReturnStatement' || last.arguments.length !== 1) return NO_FUNCTION
  // A name or a call may be a function; a number or a text is none.
  return last.arguments[0]?.type.endsWith('Literal') ? NO_FUNCTION : undefined
}

const NO_FUNCTION = 'it must be "return function(message) … end"'

/** The statements of a chunk, or why it has none. */
function bodyOf(text: string): readonly Node[] | string {
  try {
    return parse(text, { luaVersion: '5.3', comments: false, encodingMode: 'none' }).body
  } catch (error) {
    return (error as Error).message
  }
}
