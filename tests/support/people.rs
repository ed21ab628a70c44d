//! Who is listed in the houses of tests, and by which rules they decide: each written down once.

/// One entry of a file of agents.
macro_rules! person {
    (desk) => {
        "\n[[agent]]\nagent_id = \"desk\"\n"
    };
    (ada) => {
        $crate::support::people::expert!("ada")
    };
    (bob) => {
        $crate::support::people::expert!("bob")
    };
    (cyd) => {
        $crate::support::people::expert!("cyd")
    };
    (rita) => {
        "\n[[agent]]\nagent_id = \"rita\"\nkind = \"HUMAN\"\n\
         reviews = [{ domain = \"pay\", up_to_stakes = \"CRITICAL\" }]\n"
    };
    (ledger) => {
        "\n[[agent]]\nagent_id = \"ledger\"\nkind = \"REPORTER\"\n"
    };
}

/// Somebody with full authority over payments and a record to go with it.
macro_rules! expert {
    ($name:literal) => {
        concat!(
            "\n[[agent]]\nagent_id = \"",
            $name,
            "\"\ndomains = [{ domain = \"pay\", authority = 1.0, ",
            "prior = { right = 57, wrong = 3, source = \"test\" } }]\n"
        )
    };
}

/// A file of agents: a proposer without a vote (`desk`), experts (`ada`, `bob`, `cyd`), a person
/// who decides (`rita`), a source of results (`ledger`).
macro_rules! people {
    ($($who:ident)+) => {
        concat!($($crate::support::people::person!($who)),+)
    };
}

/// A policy that closes as soon as everybody active was heard, so that nothing has to wait for a
/// deadline; with more policies after it, if any are given.
macro_rules! prompt_policies {
    ($($more:literal)?) => {
        concat!(
            "\n[[policy]]\npattern = \"pay\"\nrevision = \"first\"\nearly_close = true\n",
            "deadline_default = \"5 min\"\nproposer_counts = false\n",
            $($more)?
        )
    };
}

pub(crate) use {expert, people, person, prompt_policies};
