// What the nodes say of themselves, in the reader's language. The servers write their reasons in English, and the journal keeps
// them so on both nodes: what is recorded must not depend on who reads it. The page knows the sentences by their pattern and
// says them in Chinese; one it does not know stays as it is. Pure.
//
// {why} is a sentence of its own, {kind} a kind of switch, {role} and {other} are roles; every other place is a name or number.

import { isKey, type Lang, type Translate, word } from "./i18n";
import { pattern, type Pattern } from "./patterns";

const sentences: readonly (readonly [en: string, zh: string])[] = [
  // Whether the loss of a node would be survived.
  ["path {path} is down", "通道 {path} 中断"],
  ["path {path} is up", "通道 {path} 恢复"],
  ["node {node} is not reachable", "节点 {node} 不可达"],
  ["node {node} runs another configuration ({digest})", "节点 {node} 的组态不同（{digest}）"],
  ["the configurations of the nodes differ", "两节点组态不一致"],
  ["the configurations differ", "组态不一致"],
  ["both nodes have the same configuration", "两节点组态一致"],
  ["area {area}: no answers of {node} yet", "区域 {area}：尚未收到 {node} 的应答"],
  ["area {area}: {node} does not report to be ready", "区域 {area}：{node} 未就绪"],
  ["area {area} is {role} on {node} and {other} on {peer}", "区域 {area} 在 {node} 为{role}，在 {peer} 为{other}"],
  ["the mirror of area {area} on {node} is not complete", "区域 {area} 在 {node} 的数据镜像不完整"],
  ["the mirror of area {area} is not complete", "区域 {area} 的数据镜像不完整"],
  ["{n} windows of history are still to be copied", "历史数据尚有 {n} 段待回补"],
  ["the standby does not store the alarms of area {area} in time", "备用节点未能及时存储区域 {area} 的报警"],
  ["device {device} cannot be reached from here", "本节点无法访问设备 {device}"],
  ["the history is not recorded: {why}", "历史数据未能记录：{why}"],
  ["the clocks of the nodes differ by {span}", "两节点时钟相差 {span}"],
  ["the journal of area {area} cannot be written", "区域 {area} 的事件记录无法写入"],
  ["{n} of {all} devices of area {area} do not answer", "区域 {area} 的 {all} 台设备中有 {n} 台无应答"],
  ["{node} is not heard", "收不到 {node} 的心跳"],
  ["{node} is not heard any more", "{node} 心跳丢失"],
  ["{node} is heard", "{node} 心跳恢复"],
  // Users and tokens.
  ["refused: there is a user {name} already", "用户 {name} 已存在"],
  ["refused: there is a token {name} already: revoke it first", "令牌 {name} 已存在，请先吊销"],
  ["refused: user {name} is declared in the plant file: change it there", "用户 {name} 在组态文件中声明，须在该文件中修改"],
  ["refused: {name} is the last administrator: make another one first", "{name} 是最后一名管理员，请先设置另一名管理员"],
  ["wrong input: the name {name}: 1 to {n} of letters, digits, - _ . @", "名称 {name} 无效：限 1 至 {n} 个字母、数字或 - _ . @"],
  ["not found: no user is named {name}", "没有名为 {name} 的用户"],
  ["a password has {low} to {high} bytes, this one {n}", "密码须为 {low} 至 {high} 个字节，输入的为 {n} 个"],
  ["the new password is the old one", "新密码与当前密码相同"],
  ["name or password is wrong", "用户名或密码错误"],
  // Why a node has the role it has.
  ["the node starts", "节点启动"],
  ["the node was stopped", "节点已停止"],
  ["{node} was active and its process was restarted", "原主用节点 {node} 的进程已重新启动"],
  ["no node is active and {node} is the designated primary", "无主用节点，{node} 为首选节点"],
  ["{node} could not be activated", "{node} 未能激活"],
  ["no node has been active for {span}", "无主用节点已达 {span}"],
  ["the witness says that {node} is alive: only the link is cut", "见证表明 {node} 仍在运行，仅链路中断"],
  ["the witness says that this node is the one cut off", "见证表明本节点被隔离"],
  ["the witness says that {node} is dead", "见证表明 {node} 已停止运行"],
  ["{node} is silent and the witness says that it is dead", "{node} 无应答，且见证表明其已停止运行"],
  ["{node} is silent; the witness says: {why}", "{node} 无应答；见证：{why}"],
  ["the peer is alive", "对端仍在运行"],
  ["the peer is dead", "对端已停止运行"],
  ["this node is cut off", "本节点被隔离"],
  ["no answer", "无应答"],
  ["no answer within {span}", "{span} 内无应答"],
  ["no answer from {node}", "{node} 无应答"],
  ["{node} is heard to be active but does not answer: the link works one way", "可收到 {node} 的主用心跳但无应答：链路单向"],
  ["{node} is silent: policy safety waits for an operator", "{node} 无应答：安全策略要求由操作员决定"],
  ["{node} missed {n} heartbeats on every path", "{node} 在所有通道上丢失 {n} 次心跳"],
  ["{node} had a newer term (epoch {theirs} against {ours}): a new one begins", "{node} 的任期较新（{theirs} 对 {ours}）：开始新任期"],
  ["{node}, the designated primary, was heard for {span} without a gap", "首选节点 {node} 已连续稳定 {span}"],
  ["{node} has been healthier for {span}: score {theirs} against {ours} here", "{node} 的健康状况更好已达 {span}：评分 {theirs}，本节点 {ours}"],
  ["{node} is active already", "{node} 已为主用"],
  ["{node} is active", "{node} 为主用"],
  ["{node} answers again", "{node} 恢复应答"],
  ["{node} answers as {role}", "{node} 应答，角色为{role}"],
  ["{node} is a new process", "{node} 为新启动的进程"],
  ["{node} does not run: every path refuses connections", "{node} 未运行：所有通道均拒绝连接"],
  ["{node} said goodbye: {why}", "{node} 已正常退出：{why}"],
  ["both nodes were active: {node} {why} (epoch {theirs} against {ours})", "曾出现双主用：{node} {why}（任期 {theirs} 对 {ours}）"],
  ["is not isolated", "未被隔离"],
  ["reaches more devices", "可访问的设备更多"],
  ["has the newer term", "任期较新"],
  ["is the designated primary", "为首选节点"],
  ["stood still for {span}, past its lease: must hear the peer first", "停顿 {span}，超过租约：须先收到对端消息"],
  ["this node stood still for {span}: the count of missed answers starts anew", "本节点停顿 {span}：漏失应答重新计数"],
  ["back from maintenance: {why}", "结束维护：{why}"],
  ["device writes are held: it is not known whether {node} acts; they are released when it answers or an operator confirms", "设备写入已暂停：无法确定 {node} 是否在运行，待其应答或操作员确认后恢复"],
  ["device writes are released: {why}", "设备写入已恢复：{why}"],
  ["an operator confirmed", "操作员已确认"],
  ["the epoch cannot be stored: {why}", "任期无法存盘：{why}"],
  ["activation failed: {why}", "激活失败：{why}"],
  // Orders and the steps of a switch.
  ["an operator made {node} take the area by force", "操作员令 {node} 强制接管"],
  ["an operator takes the area by force: {why}", "操作员强制接管：{why}"],
  ["taken by force: {why}", "强制接管：{why}"],
  ["an operator chose this node, which is active already: {why}", "操作员选择了本节点（已为主用）：{why}"],
  ["an operator confirms that {node} does not act: {why}", "操作员确认 {node} 未在运行：{why}"],
  ["an operator gives the choice back to the automatic: {why}", "操作员恢复自动选择：{why}"],
  ["no take by force: {node}, the designated primary, is taking the area by force as well", "未强制接管：首选节点 {node} 也在强制接管"],
  ["a planned switch is prepared", "计划切换已就绪"],
  ["{kind} switch to {node} begins: {why}", "开始切换到 {node}（{kind}）：{why}"],
  ["{kind} switch to {node} is done", "切换到 {node} 完成（{kind}）"],
  ["{kind} switch to {node} is rolled back: {why}", "切换到 {node} 已回退（{kind}）：{why}"],
  ["{kind} switch to {node}: {why}", "切换到 {node}（{kind}）：{why}"],
  ["the switch failed, taking the area back: {why}", "切换失败，收回主用：{why}"],
  ["the switch prepared with {node} is off: the stream is lost", "与 {node} 的切换已取消：数据流中断"],
  ["the switch prepared with {node} did not come", "与 {node} 准备的切换未执行"],
  ["{node} called the switch off", "{node} 取消了切换"],
  ["the area has not stopped within {span}", "区域未能在 {span} 内停止"],
  ["the stream is lost", "数据流中断"],
  ["it took too long", "用时过长"],
  ["{node} does not act", "{node} 未接管"],
  ["{node} was not prepared within {span}", "{node} 未能在 {span} 内就绪"],
  ["{node} does not say whether it acts", "{node} 未说明是否已接管"],
  ["{node} is not ready", "{node} 未就绪"],
  ["{node} does not answer", "{node} 无应答"],
  ["{node} cannot take the area now: it is {role}", "{node} 当前无法接管：其角色为{role}"],
  ["a switch is under way already", "切换正在进行"],
  ["device writes are under way", "设备写入正在进行"],
  ["the area is still being activated", "区域仍在激活"],
  ["no active node is heard", "收不到主用节点"],
  ["the area acts here, switch it to {node} first", "区域在本节点主用，请先切换到 {node}"],
  ["taking a role from a node that may be active needs force", "从可能主用的节点接管需要强制"],
  ["{why}, and back", "{why}，并切回"],
  ["drill", "演练"],
  // The mirror.
  ["the mirror is complete: {why}", "数据镜像完整：{why}"],
  ["a snapshot of {n} records was applied", "已应用含 {n} 条记录的快照"],
  ["the stream goes on where it ended", "数据流从中断处继续"],
  ["the stream from {node} ended", "来自 {node} 的数据流结束"],
  ["the stream to {node} ended", "发往 {node} 的数据流结束"],
  ["{node} follows the stream", "{node} 正在跟随数据流"],
  ["{n} alarm records of {node} that were not known here have been merged; the first is of {time}", "已合并 {node} 独有的 {n} 条报警记录，最早一条为 {time}"],
  ["a peer was refused: {why}", "已拒绝对端：{why}"],
  // Commands.
  ["no active node can be reached", "无法访问主用节点"],
  ["the active node did not answer in time: the outcome is unknown", "主用节点未及时应答：结果不明"],
  ["the deadline has passed", "已超过时限"],
  ["this node may not write: its lease is over", "本节点不得写入：租约已过期"],
  ["this node is not active for area {area}", "本节点不是区域 {area} 的主用节点"],
  ["area {area} has epoch {ours}, the write {theirs}", "区域 {area} 的任期为 {ours}，写入命令的任期为 {theirs}"],
  ["node {node} became active", "节点 {node} 转为主用"],
  ["node {node} became active: {why}", "节点 {node} 转为主用：{why}"],
  ["heartbeat lost", "心跳丢失"],
  ["has the role since the start", "启动以来保持该角色"],
  ["the other node is active", "另一节点为主用"],
  ["node {node} does not answer on any path", "节点 {node} 在所有通道上无应答"],
  ["from {address}", "来自 {address}"],
  // Clients that come and go.
  ["dashboard", "操作画面"],
  ["dashboard, {why}", "操作画面，{why}"],
  ["program", "程序"],
  ["program, {why}", "程序，{why}"],
  ["connection ended", "连接断开"],
  ["silent", "无数据往来"],
  ["detected in {span1}, active in {span2}, first values of every device in {span3}, {n} slots missed, {m} duplicates ({rest})", "检测用时 {span1}，激活用时 {span2}，全部设备首个数值用时 {span3}，漏采 {n} 次，重复采集 {m} 次（{rest}）"],
  ["{role}: {why}", "{role}：{why}"], // last: it fits whatever has a word and a colon in front
];

let patterns: Pattern[] | undefined;

/** deepest is how far a reason within a reason within a reason is followed. */
const deepest = 4;

/** said is a sentence of a node in the reader's language; unknown ones stay as they are. */
export function said(lang: Lang, t: Translate, text: string | undefined, depth = 0): string {
  if (text === undefined || text === "" || lang === "en" || depth > deepest || text.length > 500) return text ?? "";
  patterns ??= sentences.map(pattern);
  for (const p of patterns) {
    const found = p.match.exec(text);
    if (!found) continue;
    const values = Object.fromEntries(p.places.map((name, i) => [name, place(lang, t, name, found[i + 1]!, depth)]));
    return p.to.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
  }
  return several(lang, t, text, depth);
}

// Several sentences in one, with the sign between them kept.
function several(lang: Lang, t: Translate, text: string, depth: number): string {
  const parts = text.split("; ");
  return parts.length > 1 ? parts.map((p) => said(lang, t, p, depth + 1)).join("；") : text;
}

function place(lang: Lang, t: Translate, name: string, value: string, depth: number): string {
  switch (name) {
    case "why":
      return said(lang, t, value, depth + 1);
    case "kind":
      return isKey(`switchKind.${value}`) ? word(t, "switchKind", value) : value;
    case "role":
    case "other":
      return word(t, "duty", value);
    default:
      return value;
  }
}

/** known lists the sentences, for the test of their places. */
export const known = sentences;
