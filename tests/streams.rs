//! What a gateway tells as it comes: server-sent events that go on at any gateway from where another
//! one ended.

use std::io::Read as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::people::people;
use crate::support::web::{
    AGENTS, Event, Events, POLICIES, Web, bearer, everybody, house, streaming, tokens,
};
use crate::support::{House, until};

fn proposed(web: &Web, domain: &str) -> String {
    web.proposed(domain, domain)
}

fn respond(web: &Web, agent: &str, round: &str, verdict: &str) {
    let said = json!({ "proposal_id": round, "verdict": verdict, "confidence": 0.9 });
    let answer = web.post(agent, "/v1/responses?wait=30", &said);
    assert!(matches!(answer.status, 200 | 422), "{}", answer.body);
}

fn id(event: &Event) -> String {
    event.data["proposal_id"].as_str().unwrap().to_owned()
}

/// What came, by name and round.
fn told(events: &mut Events, count: usize) -> Vec<(String, String)> {
    let events = events.take(count);
    let told: Vec<_> = events
        .map(|event| (event.name.clone(), id(&event)))
        .collect();
    assert_eq!(told.len(), count, "the stream has ended");
    told
}

fn named(name: &str, rounds: &[&String]) -> Vec<(String, String)> {
    let one = |round: &&String| (name.to_owned(), (*round).clone());
    rounds.iter().map(one).collect()
}

#[test]
fn an_inbox_tells_each_round_once_and_when_it_left() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let first = proposed(&web, "pay.out");
    let mut ada = web.events("ada", "/v1/inbox", None);
    assert_eq!(
        told(&mut ada, 1),
        named("waiting", &[&first]),
        "it waited before"
    );
    let second = proposed(&web, "pay.in");
    let event = ada.next().unwrap();
    assert_eq!((&*event.name, id(&event)), ("waiting", second.clone()));
    let listed = web.get("ada", "/v1/inbox").with(200);
    let mut rounds = listed["rounds"].as_array().unwrap().iter();
    assert!(rounds.any(|round| *round == event.data), "as it is listed");
    respond(&web, "ada", &first, "CHALLENGE");
    // Refused, as it gives no reasoning: it left, and waits again.
    assert_eq!(told(&mut ada, 1), named("left", &[&first]));
    assert_eq!(told(&mut ada, 1), named("waiting", &[&first]));
    respond(&web, "ada", &first, "ENDORSE");
    assert_eq!(told(&mut ada, 1), named("left", &[&first]));
    let mut bob = web.events("bob", "/v1/inbox?domain=pay.out", None);
    assert_eq!(
        told(&mut bob, 1),
        named("waiting", &[&first]),
        "what it looks for"
    );
    let third = proposed(&web, "pay.big");
    assert_eq!(told(&mut ada, 2), {
        let mut both = named("waiting", &[&third]);
        both.extend(named("left", &[&third]));
        both
    });
    respond(&web, "bob", &first, "ENDORSE");
    assert_eq!(told(&mut bob, 1), named("left", &[&first]));
}

#[test]
fn an_inbox_goes_on_where_it_ended_after_a_restart_and_elsewhere() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let rounds: Vec<_> = (0..4).map(|_| proposed(&web, "pay.out")).collect();
    let mut ada = web.events("ada", "/v1/inbox", None);
    let seen: Vec<Event> = ada.by_ref().take(2).collect();
    let elsewhere = house.serve(Some(&everybody()));
    for gateway in [&web, &elsewhere] {
        // Only what had not come by then, even though the others were there already.
        let mut again = gateway.events("ada", "/v1/inbox", Some(&seen[1].id));
        let rest: Vec<Event> = again.by_ref().take(2).collect();
        let mut all: Vec<_> = seen.iter().chain(&rest).map(id).collect();
        all.sort();
        let mut wanted = rounds.clone();
        wanted.sort();
        assert_eq!(all, wanted);
        let mut last = gateway.events("ada", "/v1/inbox", Some(&rest[1].id));
        let next = proposed(&web, "pay.out");
        assert_eq!(told(&mut last, 1), named("waiting", &[&next]));
        respond(&web, "ada", &next, "ENDORSE");
    }
    web.stop();
    // While nobody was there: one round more, one less, and an answer that is refused.
    let gone = seen.iter().map(id).next().unwrap();
    until("what was answered has left", || {
        let inbox = elsewhere.get("ada", "/v1/inbox").with(200);
        inbox["rounds"].as_array().unwrap().len() == 4
    });
    let position = {
        let mut last = elsewhere.events("ada", "/v1/inbox", None);
        last.by_ref().take(4).last().unwrap().id
    };
    respond(&elsewhere, "ada", &gone, "CHALLENGE");
    let new = proposed(&elsewhere, "pay.out");
    elsewhere.stop();
    let after = house.serve(Some(&everybody()));
    let mut ada = after.events("ada", "/v1/inbox", Some(&position));
    let mut heard = told(&mut ada, 2);
    heard.sort();
    let mut wanted = named("waiting", &[&gone, &new]);
    wanted.sort();
    assert_eq!(heard, wanted);
    // What suspends an agent ends its stream, and what lets it take part again tells everything.
    let position = ada_is_suspended(&house, &mut ada);
    let list = AGENTS.replace(
        "agent_id = \"ada\"\n",
        "agent_id = \"ada\"\nstatus = \"ACTIVE\"\n",
    );
    house.told(&["agents", "apply", "-"], &list);
    until("it is seen", || {
        after.get("op", "/v1/agents/ada").with(200)["status"] == "ACTIVE"
    });
    let mut ada = after.events("ada", "/v1/inbox", position.as_deref());
    assert_eq!(told(&mut ada, 5).len(), 5);
}

/// Suspends ada; nothing more comes then.
fn ada_is_suspended(house: &House, ada: &mut Events) -> Option<String> {
    let list = AGENTS.replace(
        "agent_id = \"ada\"\n",
        "agent_id = \"ada\"\nstatus = \"SUSPENDED\"\n",
    );
    house.told(&["agents", "apply", "-"], &list);
    ada.map(|event| event.id).last()
}

#[test]
fn records_are_told_as_they_come_and_from_where_somebody_ended() {
    let house = house();
    let _processor = house.run();
    let webs = [(); 2].map(|()| house.serve(Some(&everybody())));
    let web = &webs[0];
    let mut rounds = web.events("op", "/v1/rounds?domain=pay.out", None);
    let mut outcomes = web.events("op", "/v1/outcomes?status=APPROVED&domain=pay.out", None);
    let mut letters = web.events("op", "/v1/dead-letters?topic=responses", None);
    let mut escalations = web.events("rita", "/v1/escalations", None);
    let mut trust = web.events("op", "/v1/trust?agent_id=bob", None);
    let mut agents = web.events("op", "/v1/agents", None);
    let begin = web.get("op", "/v1/rounds").with(200);
    let begin = begin["position"].as_str().unwrap().to_owned();
    let big = proposed(web, "pay.big");
    let small = proposed(web, "pay.out");
    respond(web, "ada", &small, "CHALLENGE");
    for agent in ["ada", "bob"] {
        respond(web, agent, &small, "ENDORSE");
    }
    let states = |events: Vec<Event>| -> Vec<Value> {
        assert!(events.iter().all(|event| event.name == "Round"));
        events
            .iter()
            .map(|event| event.data["state"].clone())
            .collect()
    };
    assert_eq!(
        states(rounds.by_ref().take(2).collect()),
        ["OPEN", "CLOSED"]
    );
    let outcome = outcomes.next().unwrap();
    assert_eq!((&*outcome.name, id(&outcome)), ("Outcome", small.clone()));
    let listed = web.get("op", "/v1/outcomes?domain=pay.out").with(200);
    assert_eq!(listed["outcomes"], json!([outcome.data]));
    let letter = letters.next().unwrap();
    assert_eq!(letter.data["reason"], "reasoning_missing");
    let package = escalations.next().unwrap();
    assert_eq!(
        (&*package.name, id(&package)),
        ("DecisionPackage", big.clone())
    );
    let result = json!({ "proposal_id": small, "result": "RIGHT" });
    web.post("ledger", "/v1/results?wait=30", &result).with(200);
    let score = trust.next().unwrap();
    assert_eq!(
        (&*score.name, &score.data["agent_id"]),
        ("TrustScore", &json!("bob"))
    );
    house.told(
        &["agents", "apply", "-"],
        &AGENTS.replace("\"rita\"", "\"rosa\""),
    );
    assert_eq!(agents.next().unwrap().data["agent_id"], "rosa");

    // Everything since the page, in whatever order partitions are read, on either gateway.
    let mut both = webs.iter().map(|web| {
        let mut events = web.events("op", "/v1/rounds", Some(&begin));
        let mut told: Vec<Event> = Vec::new();
        while told
            .iter()
            .filter(|event| event.data["state"] != "OPEN")
            .count()
            < 2
            || told.len() < 5
        {
            told.push(events.next().unwrap());
        }
        told
    });
    let (here, there) = (both.next().unwrap(), both.next().unwrap());
    for told in [&here, &there] {
        let mut of_small: Vec<_> = told.iter().filter(|event| id(event) == small).collect();
        of_small.dedup();
        assert_eq!(of_small.len(), 3, "open, closed, settled: {of_small:?}");
    }
    // From in between, elsewhere: what had not come, once.
    for (at, event) in here.iter().enumerate() {
        let mut rest = webs[1].events("op", "/v1/rounds", Some(&event.id));
        for _ in at + 1..here.len() {
            let event = rest.next().unwrap();
            let before = here.iter().take(at + 1);
            assert_eq!(before.filter(|told| told.data == event.data).count(), 0);
        }
    }
}

/// Lets this process, and those it starts from now on, have so many files open.
fn with_many_files() {
    let id = std::process::id().to_string();
    let told = Command::new("prlimit")
        .args(["--pid", &id, "--nofile=4096:"])
        .status();
    assert!(told.unwrap().success());
}

/// Each of them could be told some six megabytes. What is held of it for all of them is what is
/// remembered for everybody, and little more; they are cut off, and go on from where they were.
#[test]
fn a_thousand_readers_who_take_nothing_cost_little_and_are_cut_off() {
    const READERS: usize = 1_000;
    const ROUNDS: usize = 400;
    with_many_files();
    let policies = POLICIES.replace("\"pay\"\n", "\"pay\"\nmax_open_per_proposer = 10000\n");
    let house = House::on_blackboard(2, AGENTS, &policies);
    let _processor = house.run();
    let room = format!("connections = {}\n", READERS + 8);
    let web = house.serve_told(Some(&everybody()), &room);
    let begin = web.get("op", "/v1/rounds").with(200);
    let begin = begin["position"].as_str().unwrap().to_owned();
    let idle = web.memory();
    let mut slow: Vec<_> = (0..READERS)
        .map(|_| web.follow("ada", "/v1/rounds", Some(&begin)))
        .collect();
    let few = || [(); 8].map(|()| web.follow("ada", "/v1/rounds", None));
    let others = few();
    let mut answer = web.get("op", "/v1/agents");
    until("it is full", || {
        answer = web.get("op", "/v1/agents");
        answer.status == 503
    });
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("connection").as_deref(), Some("close"));
    answer.problem(503, "too_many_connections");
    drop(others);
    let is_room = || web.get("op", "/v1/agents").status == 200;
    until("there is room", is_room);

    let proposal = json!({
        "domain": "pay.out",
        "action": { "type": "payment.block", "subject": "payment-1" },
        "confidence": 0.9,
        "stakes": "LOW",
        "rationale": "x".repeat(7_500),
    });
    let mut most = idle;
    for number in 1..=ROUNDS {
        let wait = if number == ROUNDS { "?wait=30" } else { "" };
        let answer = web.post("desk", &format!("/v1/proposals{wait}"), &proposal);
        assert!(matches!(answer.status, 200 | 202), "{}", answer.body);
        most = most.max(web.memory());
    }
    let told = web.events("bob", "/v1/rounds", Some(&begin)).take(ROUNDS);
    let bytes: usize = told.map(|event| event.data.to_string().len()).sum();
    assert!(bytes > 5_000_000, "{bytes}");
    let grown = most.max(web.memory()).saturating_sub(idle);
    let all = bytes * READERS;
    println!("{grown} bytes more for {READERS} readers of {bytes} bytes each, {all} in all");
    assert!(grown < 250_000_000, "{grown}");

    // With a few more it is full, until those who take nothing are gone.
    let _others = few();
    until("those who take nothing are cut off", is_room);
    // Whoever took something last is, half a minute after; who is read from takes something.
    std::thread::sleep(std::time::Duration::from_secs(35));
    // What was on its way to one of them still comes, cut off somewhere; it goes on after that.
    let mut rest = Vec::new();
    slow.truncate(1);
    let _end = slow.remove(0).read_to_end(&mut rest);
    let heard = String::from_utf8_lossy(&rest);
    let (whole, _) = heard.rsplit_once("\n\n").unwrap();
    let mut ids = whole.lines().filter_map(|line| line.strip_prefix("id: "));
    let (count, last) = (ids.clone().count(), ids.next_back().unwrap());
    assert!((1..ROUNDS).contains(&count), "{count}");
    let events = web.events("ada", "/v1/rounds", Some(last));
    assert_eq!(events.take(ROUNDS - count).count(), ROUNDS - count);
}

#[test]
fn what_is_no_position_or_not_of_this_log_is_refused() {
    let house = house();
    let web = house.serve(Some(&everybody()));
    let ask = |name: &str, path: &str, after: &str| {
        let head = [bearer(name), streaming(), format!("Last-Event-ID: {after}")];
        web.ask("GET", path, &head, "")
    };
    for after in ["", "x", "1", "0.0.0", "-1.0", "99.0", "0.0/0/0.0"] {
        ask("op", "/v1/rounds", after).problem(400, "bad_position");
    }
    for after in ["", "0.0", "0.0/0", "0.0/x/0.0", "99.0/0/0.0"] {
        ask("ada", "/v1/inbox", after).problem(400, "bad_position");
    }
    let head = [bearer("op"), streaming()];
    for path in [
        "/v1/rounds?limit=3",
        "/v1/rounds?after=00",
        "/v1/escalations?state=OPEN",
    ] {
        web.ask("GET", path, &head, "").problem(400, "bad_query");
    }
    web.ask("GET", "/v1/inbox?wait=3", &[bearer("ada"), streaming()], "")
        .problem(400, "bad_query");
    web.ask("GET", "/v1/rounds", &[streaming()], "")
        .problem(401, "unauthenticated");
}

#[test]
fn a_reviewers_queue_tells_as_it_comes_only_what_they_may_decide() {
    let agents = concat!(
        people!(desk ada bob rita),
        "\n[[agent]]\nagent_id = \"rosa\"\nkind = \"HUMAN\"\n\
         reviews = [{ domain = \"pay\", up_to_stakes = \"LOW\" }]\n"
    );
    let house = House::on_blackboard(1, agents, POLICIES);
    let _processor = house.run();
    let web = house.serve(Some(&(everybody() + &tokens(&[("rosa", "reviewer")]))));
    let list = || web.get("op", "/v1/escalations").with(200);
    let begin = list()["position"].as_str().unwrap().to_owned();
    let waits = |round: &str| {
        let list = list();
        let mut all = list["escalations"].as_array().unwrap().iter();
        all.any(|one| one["proposal_id"] == round)
    };
    let escalated = |stakes: &str| {
        let proposal = json!({
            "domain": "pay.big",
            "action": { "type": "payment.block", "subject": stakes },
            "confidence": 0.9,
            "stakes": stakes,
        });
        let said = web.post("desk", "/v1/proposals?wait=30", &proposal);
        let round = said.with(200)["id"].as_str().unwrap().to_owned();
        // Of a round whose record is not read yet nobody knows whose it is.
        until("it waits for people", || waits(&round));
        round
    };
    let (high, low) = (escalated("HIGH"), escalated("LOW"));
    let follow = |name: &str, query: &str| {
        let path = format!("/v1/escalations{query}");
        web.events(name, &path, Some(&begin))
    };
    let package = |rounds: &[&String]| named("DecisionPackage", rounds);
    let everything = package(&[&high, &low]);
    assert_eq!(told(&mut follow("rosa", ""), 2), everything);
    assert_eq!(told(&mut follow("rosa", "?mine=false"), 2), everything);
    assert_eq!(told(&mut follow("rita", "?mine=true"), 2), everything);
    let mut rosa = follow("rosa", "?mine=true");
    assert_eq!(told(&mut rosa, 1), package(&[&low]));
    let next = escalated("LOW");
    assert_eq!(told(&mut rosa, 1), package(&[&next]), "as it comes");
    // What is decided by then is nobody's any more.
    let lies = house.records("escalations", Some(&low), 1).remove(0);
    let decision = json!({
        "proposal_id": low, "package_digest": lies["package_digest"], "verdict": "REJECT",
    });
    web.post("rita", "/v1/decisions?wait=30", &decision)
        .with(200);
    until("it is decided", || !waits(&low));
    assert_eq!(
        told(&mut follow("rosa", "?mine=true"), 1),
        package(&[&next])
    );
}
