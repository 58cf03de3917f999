-- What commands know as `ctx`. Runs once in each VM for commands, before any script.
--
-- A function that asks for an effect yields its name and the value that it was given; it is resumed with true and the answer,
-- or with false and what is wrong, which it raises at the caller's line.
local yield, yieldable, effects, tools, natives = ...
local dress, raising = natives.dress, natives.raising

local CTX = "ctx" -- what getmetatable gives scripts instead of the metatable
local OPTIONAL = { guild_id = true, subcommand = true }

-- The permissions of the person, by ctx, where scripts cannot change them.
local permissions = setmetatable({}, { __mode = "k" })

local function effect(name)
  return function(self, value, ...)
    if getmetatable(self) ~= CTX then
      error(`write ctx:{name}(…), with a colon`, 2)
    end
    if select("#", ...) > 0 then
      error(`ctx:{name} takes one value; put more into a table: ctx:{name} \{ first, key = … }`, 2)
    end
    if not yieldable() then
      error(`ctx:{name} cannot wait inside a function that table.sort, string.gsub, a metamethod or require calls; ask before it, or use a loop`, 2)
    end
    local done, answer = yield(name, value)
    if done then
      return type(answer) == "table" and dress(name, answer) or answer
    end
    error(answer, 2)
  end
end

local function no_effect(name)
  return function()
    error(`ctx:{name} is not possible in autocomplete, which can only suggest values`, 2)
  end
end

local function with_own(methods)
  for name, tool in tools.own do
    methods[name] = raising(function(self, value)
      return tool(permissions[self], value)
    end)
  end
  return methods
end

local function class(methods)
  return {
    __metatable = CTX,
    __index = function(_, key)
      local method = methods[key]
      if method == nil and not OPTIONAL[key] then
        error(tools.unknown(key), 2)
      end
      return method
    end,
  }
end

local asking, suggesting = {}, {}
for _, name in effects do
  asking[name] = effect(name)
  suggesting[name] = no_effect(name)
end
asking, suggesting = class(with_own(asking)), class(with_own(suggesting))

return function(ctx, bits, suggests, kinds)
  dress("user", ctx.user)
  dress("channel", ctx.channel)
  for name, kind in kinds do
    dress(kind, ctx.args[name])
  end
  setmetatable(ctx, suggests and suggesting or asking)
  permissions[ctx] = bits
  return ctx
end
