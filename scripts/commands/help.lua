-- /help: written from the definitions, so it is never out of date.
local function usage(name, options)
  local words = { "/" .. name }
  for _, option in ipairs(options) do
    words[#words + 1] = (option.required and "<%s>" or "[%s]"):format(option.name)
  end
  return table.concat(words, " ")
end

---@type Command
return {
  name = "help",
  description = "What I can do",
  run = function(ctx)
    local lines = { "Mention me in a message, or use one of these:" }
    local function add(name, definition)
      lines[#lines + 1] = ("`%s` — %s"):format(usage(name, definition.options), definition.description)
    end
    for _, command in ipairs(ctx:commands()) do
      if command.allowed and (ctx.guild_id or not command.guild_only) then
        if #command.subcommands == 0 then add(command.name, command) end
        for _, sub in ipairs(command.subcommands) do add(command.name .. " " .. sub.name, sub) end
      end
    end
    local text = table.concat(lines, "\n")
    if utf8.len(text) <= 2000 then
      ctx:reply { text, ephemeral = true }
    else
      ctx:reply { lines[1], file = { name = "commands.txt", text = text }, ephemeral = true }
    end
  end,
}
