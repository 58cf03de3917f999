-- What every script has besides Luau's own: the table `moonlane`. Runs once in each VM, before any script.
--
-- It also replaces those functions of Luau that could work for seconds without reaching an interrupt; the replacements refuse
-- input that would take so long.
--
-- Between two interrupts a search, plain or not, looks at each pair of a byte of the text and a byte of the pattern at most
-- once. Input that is merely as long as the VM's memory needs no check.

-- About as many steps as take 100 ms.
local MAX_STEPS = 1e8
-- Comparing strings up to this length takes no time.
local SHORT = 1000

local error, type, rawget, rawlen = error, type, rawget, rawlen
local move, sort = table.move, table.sort

for _, name in { "find", "match", "gmatch", "gsub", "split" } do
  local native = string[name]
  string[name] = function(text, pattern, a, b)
    if type(text) == "string" and type(pattern) == "string" and #text * #pattern > MAX_STEPS then
      error(`string.{name}: text and pattern together are too long: {#text} times {#pattern} bytes is more than {MAX_STEPS}`, 2)
    end
    return native(text, pattern, a, b)
  end
end

table.move = function(from, first, last, to, into)
  if type(first) == "number" and type(last) == "number" and last - first > MAX_STEPS / 10 then
    error(`table.move: moving {last - first} items would take too long`, 2)
  end
  return move(from, first, last, to, into)
end

local function less(a, b)
  return a < b
end

local function has_long_strings(list)
  for place = 1, rawlen(list) do
    local item = rawget(list, place)
    if type(item) == "string" and #item > SHORT then
      return true
    end
  end
  return false
end

-- A comparison in Lua reaches interrupts.
table.sort = function(list, before)
  if before == nil and type(list) == "table" and has_long_strings(list) then
    before = less
  end
  return sort(list, before)
end

-- The tools cannot raise an error at the caller's line; this can.
local tools = ...

local function raising(tool)
  return function(...)
    local done, answer = tool(...)
    if done then
      return answer
    end
    error(answer, 2)
  end
end

local functions, names = {}, {}
for name, tool in tools.functions do
  local outer, inner = name:match("^(%w+)%.(%w+)$")
  if outer then
    functions[outer] = functions[outer] or {}
    functions[outer][inner] = raising(tool)
  else
    functions[name] = raising(tool)
  end
end
for name, value in functions do
  table.insert(names, name)
  if type(value) == "table" then
    table.freeze(value)
  end
end

moonlane = setmetatable(functions, {
  __metatable = false,
  __index = function(_, key)
    error(tools.unknown("moonlane", key, names), 2)
  end,
})

-- Libraries raise where a script reads what they do not have, and so does the place of what only other Luas have. Any other
-- global may be read before it is set: `cache = cache or {}`.
local function keys(values)
  local known = {}
  for name in values do
    table.insert(known, name)
  end
  return known
end

for _, name in { "bit32", "buffer", "debug", "math", "os", "string", "table", "utf8", "vector" } do
  local library = _G[name]
  local known = keys(library)
  setmetatable(library, {
    __metatable = false,
    __index = function(_, key)
      error(tools.not_there(`{name}.{key}`, known), 2)
    end,
  })
end

setmetatable(_G, {
  __metatable = false,
  __index = function(_, key)
    if tools.is_absent(key) then
      error(tools.not_there(key, {}), 2)
    end
    return nil
  end,
})

-- What may be nil in the tables that scripts get from the bot: `tests/reference.rs` checks it.
local OPTIONAL = {
  parent_id = true, model = true, permission_mode = true, content_type = true, permission = true, before = true, after = true,
  reason = true, blocked_path = true, subagent = true,
}

-- What `tostring` gives for people, channels and roles.
local MENTION = { author = "<@%s>", user = "<@%s>", channel = "<#%s>", role = "<@&%s>", open_thread = "<#%s>" }

-- Makes a table that comes from the bot, and the tables in it, raise an error if a script reads a key that they do not
-- have. `name` is what errors call the table. What `args` and `input` hold is not the bot's: there any key may be absent.
local function dress(name, value)
  for key, inner in value do
    if type(inner) == "table" and key ~= "args" and key ~= "input" then
      dress(type(key) == "string" and key or name, inner)
    end
  end
  if next(value) == nil or value[1] ~= nil then
    return value
  end
  local mention = MENTION[name]
  return setmetatable(value, {
    __metatable = false,
    __index = function(self, key)
      if not OPTIONAL[key] then
        local known = {}
        for has in self do
          table.insert(known, has)
        end
        error(tools.unknown(name, key, known), 2)
      end
      return nil
    end,
    __tostring = mention and function(self)
      return mention:format(self.id)
    end,
  })
end

return { dress = dress, raising = raising }
