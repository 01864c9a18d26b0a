/**
 * The Lua program that prepares a state for the functions of a route: a JSON parser and writer, the
 * libraries that functions may use, and the call of a function. All of it is Lua, so that functions
 * cannot reach JavaScript.
 */
export const SANDBOX = String.raw`
local find, sub, byte, char, format, gsub = string.find, string.sub, string.byte, string.char, string.format, string.gsub
local concat, sort, utf8char, utf8len, tointeger = table.concat, table.sort, utf8.char, utf8.len, math.tointeger
local type, pairs, ipairs, tonumber, tostring, select, pcall, load, rawequal, error, next, setmetatable, getmetatable =
  type, pairs, ipairs, tonumber, tostring, select, pcall, load, rawequal, error, next, setmetatable, getmetatable

-- As in Kong's lua-cjson: the null of JSON, and a metatable that tells an empty array from an object.
local null = setmetatable({}, { __tostring = function() return "null" end, __metatable = false })
local array_mt = {}
local MAX_DEPTH = 100

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local decode_value

local function fail(at) error("not JSON at byte " .. at, 0) end

local function skip(s, i) return select(2, find(s, "^[ \n\r\t]*", i)) + 1 end

local function unescape(s, i)
  local c = sub(s, i, i)
  if c ~= "u" then
    if not ESCAPES[c] then fail(i) end
    return ESCAPES[c], i + 1
  end
  local code = tonumber(sub(s, i + 1, i + 4), 16)
  if not code or not find(s, "^%x%x%x%x", i + 1) then fail(i) end
  i = i + 5
  if code >= 0xD800 and code < 0xDC00 and find(s, "^\\u[dD][c-fC-F]%x%x", i) then
    code = 0x10000 + ((code - 0xD800) << 10) + tonumber(sub(s, i + 2, i + 5), 16) - 0xDC00
    i = i + 6
  end
  if code >= 0xD800 and code < 0xE000 then code = 0xFFFD end
  return utf8char(code), i
end

local function decode_string(s, i)
  local parts, n = {}, 0
  while true do
    local stop = find(s, '[%c"\\]', i)
    if not stop or byte(s, stop) < 32 then fail(i) end
    n = n + 1
    parts[n] = sub(s, i, stop - 1)
    if byte(s, stop) == 34 then return concat(parts), stop + 1 end
    n = n + 1
    parts[n], i = unescape(s, stop + 1)
  end
end

local function decode_array(s, i, depth)
  local list, n = setmetatable({}, array_mt), 0
  i = skip(s, i)
  if byte(s, i) == 93 then return list, i + 1 end
  while true do
    n = n + 1
    list[n], i = decode_value(s, i, depth)
    i = skip(s, i)
    local c = byte(s, i)
    if c == 93 then return list, i + 1 elseif c ~= 44 then fail(i) end
    i = skip(s, i + 1)
  end
end

local function decode_object(s, i, depth)
  local object = {}
  i = skip(s, i)
  if byte(s, i) == 125 then return object, i + 1 end
  while true do
    if byte(s, i) ~= 34 then fail(i) end
    local key
    key, i = decode_string(s, i + 1)
    i = skip(s, i)
    if byte(s, i) ~= 58 then fail(i) end
    object[key], i = decode_value(s, skip(s, i + 1), depth)
    i = skip(s, i)
    local c = byte(s, i)
    if c == 125 then return object, i + 1 elseif c ~= 44 then fail(i) end
    i = skip(s, i + 1)
  end
end

decode_value = function(s, i, depth)
  if depth > MAX_DEPTH then error("JSON is more than " .. MAX_DEPTH .. " deep", 0) end
  local c = byte(s, i)
  if c == 34 then return decode_string(s, i + 1) end
  if c == 123 then return decode_object(s, i + 1, depth + 1) end
  if c == 91 then return decode_array(s, i + 1, depth + 1) end
  if sub(s, i, i + 3) == "true" then return true, i + 4 end
  if sub(s, i, i + 4) == "false" then return false, i + 5 end
  if sub(s, i, i + 3) == "null" then return null, i + 4 end
  local from, to = find(s, "^-?%d+%.?%d*[eE]?[+-]?%d*", i)
  local number = from and tonumber(sub(s, from, to))
  if not number then fail(i) end
  return number, to + 1
end

local function decode(s)
  if type(s) ~= "string" then error("a string is required to decode JSON", 0) end
  local value, i = decode_value(s, skip(s, 1), 0)
  i = skip(s, i)
  if i <= #s then fail(i) end
  return value
end

local function escaped(c) return format("\\u%04x", byte(c)) end

local function encode_string(s)
  if not utf8len(s) then error("a text is not valid UTF-8", 0) end
  return '"' .. gsub(gsub(s, '["\\]', "\\%0"), "%c", escaped) .. '"'
end

local function encode_number(n)
  local whole = tointeger(n)
  if whole then return format("%d", whole) end
  if n ~= n or n == 1 / 0 or n == -1 / 0 then error("JSON has no NaN and no infinity", 0) end
  for digits = 15, 17 do
    local text = format("%." .. digits .. "g", n)
    if tonumber(text) == n then return text end
  end
end

local function length(t)
  if getmetatable(t) == array_mt then return #t end
  local n = #t
  if n == 0 then return nil end
  local count = 0
  for _ in pairs(t) do count = count + 1 end
  if count == n then return n end
end

local function encode(v, depth)
  local kind = type(v)
  if kind == "string" then return encode_string(v) end
  if kind == "number" then return encode_number(v) end
  if kind == "boolean" then return tostring(v) end
  if v == nil or rawequal(v, null) then return "null" end
  if kind ~= "table" then error("JSON has no " .. kind, 0) end
  depth = (depth or 0) + 1
  if depth > MAX_DEPTH then error("a table is more than " .. MAX_DEPTH .. " deep", 0) end
  local parts = {}
  local n = length(v)
  if n then
    for i = 1, n do parts[i] = encode(v[i], depth) end
    return "[" .. concat(parts, ",") .. "]"
  end
  for key, value in pairs(v) do
    if type(key) ~= "string" and type(key) ~= "number" then error("a key is a " .. type(key), 0) end
    parts[#parts + 1] = encode_string(tostring(key)) .. ":" .. encode(value, depth)
  end
  sort(parts)
  return "{" .. concat(parts, ",") .. "}"
end

local function safely(f)
  return function(...)
    local ok, result = pcall(f, ...)
    if ok then return result end
    return nil, result
  end
end

local function cjson(decode, encode)
  return {
    decode = decode, encode = function(v) return encode(v) end,
    null = null, array_mt = array_mt, empty_array = setmetatable({}, array_mt), empty_array_mt = array_mt,
  }
end
local modules = { cjson = cjson(decode, encode), ["cjson.safe"] = cjson(safely(decode), safely(encode)) }

local function pick(library, ...)
  local picked = {}
  for _, name in ipairs({ ... }) do picked[name] = library[name] end
  return picked
end

local env = pick(_G, "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget",
  "rawlen", "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "xpcall")
env._G = env
env._VERSION = _VERSION
env.unpack = table.unpack
env.table = pick(table, "concat", "insert", "move", "pack", "remove", "sort", "unpack")
env.string = pick(string, "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep",
  "reverse", "sub", "upper", "pack", "packsize", "unpack")
env.utf8 = pick(utf8, "char", "charpattern", "codepoint", "codes", "len", "offset")
env.math = pick(math, "abs", "ceil", "cos", "exp", "floor", "fmod", "huge", "log", "max", "maxinteger", "min",
  "mininteger", "modf", "pi", "random", "sin", "sqrt", "tan", "tointeger", "type", "ult")
env.math.pow = function(a, b) return a ^ b end
env.require = function(name)
  if modules[name] then return modules[name] end
  error("module '" .. tostring(name) .. "' is not there: cjson and cjson.safe are", 2)
end
-- Methods of texts come from their metatable, which must not lead to other libraries.
getmetatable("").__index = env.string
getmetatable("").__metatable = false

-- Kong's PDK, as far as it reads a request and its answer: they are passed along with each message.
local context = {}

local function member(...)
  local value = context
  for _, name in ipairs({ ... }) do
    if type(value) ~= "table" then return nil end
    value = value[name]
  end
  if rawequal(value, null) then return nil end
  return value
end

local function getter(...)
  local path = { ... }
  return function() return member(table.unpack(path)) end
end

local function header_getter(side)
  return function(name)
    local value = member(side, "headers", string.lower(tostring(name)))
    if type(value) == "table" then return value[1] end
    return value
  end
end

env.kong = {
  client = {
    get_consumer = getter("consumer"), get_credential = getter("credential"), get_ip = getter("ip"),
    get_forwarded_ip = getter("ip"),
  },
  request = {
    get_id = getter("request", "id"), get_method = getter("request", "method"),
    get_scheme = getter("request", "scheme"), get_host = getter("request", "host"),
    get_port = getter("request", "port"), get_path = getter("request", "path"),
    get_raw_path = getter("request", "path"), get_path_with_query = getter("request", "uri"),
    get_raw_query = getter("request", "raw_query"), get_query = getter("request", "query"),
    get_headers = getter("request", "headers"), get_header = header_getter("request"),
    get_query_arg = function(name)
      local value = member("request", "query", tostring(name))
      if type(value) == "table" then return value[1] end
      return value
    end,
  },
  response = {
    get_status = getter("response", "status"), get_headers = getter("response", "headers"),
    get_header = header_getter("response"), get_source = function() return "exit" end,
  },
  router = { get_route = getter("route"), get_service = getter("service") },
}

local functions = {}

function setup(name, text)
  local chunk, syntax_error = load("return " .. text, "=" .. name, "t", env)
  if not chunk then chunk, syntax_error = load(text, "=" .. name, "t", env) end
  if not chunk then return syntax_error end
  local ok, result = pcall(chunk)
  if not ok then return tostring(result) end
  if type(result) ~= "function" then return name .. " returns no function" end
  functions[#functions + 1] = result
end

local OWN = { topic = true, partition = true, offset = true, timestamp = true, key = true, value = true,
  headers = true, encoding = true, schema = true, error = true }

-- A chunk that is run as it is, each time.
function setup_chunk(name, text)
  local chunk, problem = load(text, "=" .. name, "t", env)
  if not chunk then return problem end
  functions[#functions + 1] = chunk
end

-- The message after a function. A table that the function created is a message if it has a field "value",
-- otherwise it is the value.
local function message_of(result, message)
  if type(result) ~= "table" or rawequal(result, null) or (not rawequal(result, message) and result.value == nil) then
    result = { value = result }
  end
  if rawequal(result, message) then return result end
  for name in pairs(OWN) do
    if result[name] == nil then result[name] = message[name] end
  end
  return result
end

local function call(text)
  local message = decode(text)
  for _, name in ipairs({ "key", "value" }) do
    if rawequal(message[name], null) then message[name] = nil end
  end
  local key, value, headers = encode(message.key), encode(message.value), encode(message.headers)
  for _, f in ipairs(functions) do
    local result = f(message)
    if result == nil then return "dropped" end
    message = message_of(result, message)
  end
  local extra = {}
  for name, field in pairs(message) do
    if not OWN[name] then extra[#extra + 1] = "," .. encode_string(tostring(name)) .. ":" .. encode(field) end
  end
  sort(extra)
  local function changed(before, after)
    if after == before then return nil end
    return after
  end
  return "done", changed(key, encode(message.key)), changed(value, encode(message.value)),
    changed(headers, encode(message.headers)), concat(extra)
end

local function guarded(f)
  return function(...)
    local result = table.pack(pcall(f, ...))
    if result[1] then return table.unpack(result, 2, result.n) end
    local problem = result[2]
    if problem == "not enough memory" then return "exceeded", problem end
    if type(problem) == "table" then return "failed", "an error that is a table" end
    return "failed", tostring(problem)
  end
end

run = guarded(call)

-- A request's message may become anything: text is sent as it is, all else as JSON.
run_request = guarded(function(text, about)
  context = decode(about)
  local message = decode(text)
  for _, f in ipairs(functions) do
    message = f(message)
    if message == nil then return "dropped" end
  end
  if type(message) == "string" then return "done", message, nil end
  return "done", nil, encode(message)
end)

-- The fields of a log's entry, each with its value, removed, or with what went wrong.
run_fields = guarded(function(about)
  context = decode(about)
  local fields = setmetatable({}, array_mt)
  for i, f in ipairs(functions) do
    local ok, value = pcall(function() return encode({ value = f() }) end)
    if not ok and value == "not enough memory" then error(value, 0) end
    if ok then fields[i] = decode(value) else fields[i] = { error = tostring(value) } end
  end
  return "done", encode(fields)
end)
`
