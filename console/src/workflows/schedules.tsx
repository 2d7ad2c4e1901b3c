/** When runs begin by themselves. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { go, within } from "../address";
import { get, part, post, type Schemas } from "../api/ask";
import { ago, chosen, instant, toTheMinute } from "../model/format";
import { visible } from "../model/text";
import { useMayAct } from "../ui/about";
import { useNow } from "../ui/now";
import { Empty, Failure, Loading } from "../ui/parts";

const EVERY_MS = 10_000;
const NEXT = 3;
type OneSchedule = Schemas["ScheduleInBrief"];

export function SchedulesOf({ slug }: { slug: string }) {
  const found = useQuery({
    queryKey: ["schedules", slug], refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => get<Schemas["Schedules"]>("/api/schedules", { workflow: slug }, signal),
  });
  const schedules = found.data?.schedules;
  return (
    <section className="panel" aria-labelledby="schedules-title">
      <h2 id="schedules-title">Schedules</h2>
      {found.error ? <Failure what="The schedules can't be read." error={found.error} again={() => void found.refetch()} />
        : !schedules ? <Loading what="Reading the schedules" />
        : !schedules.length ? <Empty title="It begins when somebody begins it"><p>By itself: <code>{visible(slug.replace(/\W/g, "_"))}.schedule("nightly", cron="0 3 * * *")</code></p></Empty>
        : <ul className="schedules">{schedules.map((each) => <Line key={each.name} schedule={each} />)}</ul>}
    </section>
  );
}

function Line({ schedule }: { schedule: OneSchedule }) {
  const now = useNow(5_000);
  const isPaused = schedule.pausedAtUs !== undefined;
  return (
    <li>
      <div>
        <h3>{visible(schedule.name)}{isPaused && <span className="badge">paused {ago(schedule.pausedAtUs!, now)}</span>}</h3>
        <p className="dim">{schedule.cron ? <><code>{visible(schedule.cron)}</code> in {visible(schedule.timezone ?? "UTC")}</> : schedule.everyUs !== undefined ? `every ${chosen(schedule.everyUs)}` : ""}</p>
      </div>
      <div>
        <h4>next</h4>
        {isPaused ? <p className="dim">not until it is resumed</p> : <ul>{schedule.nextTimesUs.slice(0, NEXT).map((us) => <li key={us} title={instant(us)}>{toTheMinute(us, now)} <span className="dim">{ago(us, now)}</span></li>)}</ul>}
      </div>
      <div>
        <h4>last</h4>
        {schedule.lastRunId && schedule.lastTimeUs !== undefined
          ? <p>{toTheMinute(schedule.lastTimeUs, now)}<br /><a className="id" {...within(`/runs/${encodeURIComponent(schedule.lastRunId)}`)}>{visible(schedule.lastRunId)}</a></p>
          : <p className="dim">none yet</p>}
        {schedule.error && <p className="wrong">{schedule.failedTimeUs !== undefined && `${toTheMinute(schedule.failedTimeUs, now)}: `}{visible(schedule.error)}</p>}
      </div>
      <Actions schedule={schedule} />
    </li>
  );
}

function Actions({ schedule }: { schedule: OneSchedule }) {
  const may = useMayAct();
  const queries = useQueryClient();
  const act = useMutation({
    mutationFn: (verb: "pause" | "resume" | "trigger") => post<{ runId?: string }>(`/api/workflows/${part(schedule.workflowSlug)}/schedules/${part(schedule.name)}/${verb}`, {}),
    onSuccess: async ({ runId }) => {
      await queries.invalidateQueries({ queryKey: ["schedules"] });
      if (runId) go(`/runs/${encodeURIComponent(runId)}`);
    },
  });
  const verb = schedule.pausedAtUs === undefined ? "pause" : "resume";
  const of = `${visible(schedule.name)}`;
  return (
    <div className="schedule-actions">
      <button type="button" className="small" disabled={!may || act.isPending} aria-label={`${verb === "pause" ? "Pause" : "Resume"} ${of}`} onClick={() => act.mutate(verb)}>{verb === "pause" ? "Pause" : "Resume"}</button>
      <button type="button" className="small" disabled={!may || act.isPending} aria-label={`Trigger now: ${of}`} title="Begin a run with its input now; its times stay as they are" onClick={() => act.mutate("trigger")}>Trigger now</button>
      {act.error && <Failure what="It was refused." error={act.error} again={() => act.variables && act.mutate(act.variables)} />}
    </div>
  );
}
