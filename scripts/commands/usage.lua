-- /usage: what turns have cost. People see their own, operators everybody's.
local say = require "lib/say"

local MOST = 25 -- lines that fit into one message
local SPANS = { day = "the last 24 hours", week = "the last 7 days", month = "the last 30 days" }

-- "950", "31k", "1.2M", "3.4B".
local function amount(number)
  if number < 1000 then return ("%d"):format(number) end
  if number < 1e6 then return ("%dk"):format(math.floor(number / 1000)) end
  if number < 1e9 then return ("%.1fM"):format(math.floor(number / 1e5) / 10) end
  return ("%.1fB"):format(math.floor(number / 1e8) / 10)
end

-- "$1.50", "<$0.01"; with a + where some turns did not tell the cost.
local function dollars(row)
  local cost = row.cost_usd > 0 and row.cost_usd < 0.01 and "<$0.01" or ("$%.2f"):format(row.cost_usd)
  return row.untold > 0 and cost .. "+" or cost
end

-- The text in so many columns: `left` pads it at its end.
local function cell(text, width, left)
  local pad = (" "):rep(width - utf8.len(text))
  return left and text .. pad or pad .. text
end

local function line(name, row)
  local tokens = row.input_tokens + row.output_tokens + row.cache_read_tokens + row.cache_write_tokens
  return table.concat({
    cell(name, 14, true), cell(amount(row.turns), 5), cell(dollars(row), 9), cell(amount(tokens), 7), cell(say.span(row.seconds), 4),
  }, " ")
end

-- A name in 14 columns that cannot end the block of code.
local function short(name)
  name = name:gsub("%s+", " "):gsub("`", "'")
  local last = utf8.offset(name, 15)
  return last and utf8.len(name) > 14 and name:sub(1, utf8.offset(name, 14) - 1) .. "…" or name
end

---@type Command
return {
  name = "usage",
  description = "What turns have cost: yours, or everybody's for operators",
  options = {
    { name = "period", description = "How far back; a day by default", choices = { "day", "week", "month" } },
    { name = "by", description = "What to sum it up by; projects by default", choices = { "user", "project", "channel" } },
  },
  run = function(ctx, args)
    local period = args.period or "day"
    local usage = ctx:usage { period, by = args.by }
    local whose = usage.everybody and "Everybody's usage" or "Your usage"
    if usage.total.turns == 0 then
      return ctx:reply { ("%s in %s: nothing."):format(whose, SPANS[period]), ephemeral = true }
    end
    local lines = { table.concat({ cell(args.by or "project", 14, true), "turns", "     cost", " tokens", "time" }, " ") }
    for place, row in ipairs(usage.rows) do
      if place > MOST then break end
      lines[#lines + 1] = line(short(row.name), row)
    end
    local more = #usage.rows + usage.more - MOST
    if more > 0 then lines[#lines + 1] = ("… and %d more"):format(more) end
    if #usage.rows > 1 then lines[#lines + 1] = line("all", usage.total) end
    local text = ("%s in %s\n```\n%s\n```\n"):format(whose, SPANS[period], table.concat(lines, "\n"))
    text = text .. "-# Claude Code's estimates; turns at work are not in them"
    if usage.total.untold > 0 then
      text = text .. ("\n-# +: %s did not tell the cost"):format(say.count(usage.total.untold, "turn"))
    end
    ctx:reply { text, ephemeral = true }
  end,
}
