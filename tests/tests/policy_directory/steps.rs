//! What an administrator does to GPOs, step by step, and what the device in [`FIELD`] has to end with after each step.

use crate::domain::{DEVICES, Domain, FIELD, PHONE};

/// A step: what it is called, what is done, what the device has then, and who gave each value.
pub(crate) struct Step {
    /// Its name.
    pub name: &'static str,
    /// What is done.
    pub act: fn(&mut Domain),
    /// Values below `Software\Policies\Postern`, as numbers, each with the name of the GPO that wins.
    pub expected: &'static [(&'static str, u32, &'static str)],
}

/// The container of the domain.
const DOMAIN: &str = "DC=corp,DC=example";
const CAMERA: &str = "Lockdown\\Camera";
const LENGTH: &str = "Password\\MinLength";
const TIMEOUT: &str = "Password\\Timeout";

/// All steps, in their order.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "a GPO is made and linked",
        act: |domain| {
            domain.create("Baseline");
            domain.set("Baseline", &[(CAMERA, 1), (LENGTH, 6), (TIMEOUT, 10)]);
            domain.link(DEVICES, "Baseline", &[]);
        },
        expected: &[(CAMERA, 1, "Baseline"), (LENGTH, 6, "Baseline"), (TIMEOUT, 10, "Baseline")],
    },
    Step {
        name: "a nearer unit wins",
        act: |domain| {
            domain.create("Field");
            domain.set("Field", &[(CAMERA, 0)]);
            domain.link(FIELD, "Field", &[]);
        },
        expected: &[(CAMERA, 0, "Field"), (LENGTH, 6, "Baseline"), (TIMEOUT, 10, "Baseline")],
    },
    Step {
        name: "a second link of the unit is behind the first",
        act: |domain| {
            domain.create("Other");
            domain.set("Other", &[(CAMERA, 1), (LENGTH, 8)]);
            domain.link(FIELD, "Other", &[]);
        },
        expected: &[(CAMERA, 0, "Field"), (LENGTH, 8, "Other"), (TIMEOUT, 10, "Baseline")],
    },
    Step {
        name: "an enforced link of the domain wins over all",
        act: |domain| {
            domain.create("Security");
            domain.set("Security", &[(LENGTH, 4)]);
            domain.link(DOMAIN, "Security", &["--enforce"]);
        },
        expected: &[(CAMERA, 0, "Field"), (LENGTH, 4, "Security"), (TIMEOUT, 10, "Baseline")],
    },
    Step {
        name: "a unit that blocks inheritance keeps its own links and the enforced ones",
        act: |domain| domain.inherit(FIELD, "block"),
        expected: &[(CAMERA, 0, "Field"), (LENGTH, 4, "Security")],
    },
    Step {
        name: "inheritance comes back",
        act: |domain| domain.inherit(FIELD, "inherit"),
        expected: &[(CAMERA, 0, "Field"), (LENGTH, 4, "Security"), (TIMEOUT, 10, "Baseline")],
    },
    Step {
        name: "a GPO is denied to the computer",
        act: |domain| domain.deny("Field", PHONE),
        expected: &[(CAMERA, 1, "Other"), (LENGTH, 4, "Security"), (TIMEOUT, 10, "Baseline")],
    },
    Step {
        name: "a GPO is changed",
        act: |domain| domain.set("Baseline", &[(CAMERA, 1), (TIMEOUT, 20)]),
        expected: &[(CAMERA, 1, "Other"), (LENGTH, 4, "Security"), (TIMEOUT, 20, "Baseline")],
    },
    Step {
        name: "a GPO is unlinked",
        act: |domain| domain.unlink(FIELD, "Other"),
        expected: &[(CAMERA, 1, "Baseline"), (LENGTH, 4, "Security"), (TIMEOUT, 20, "Baseline")],
    },
    Step {
        name: "a GPO is deleted",
        act: |domain| domain.delete("Security"),
        expected: &[(CAMERA, 1, "Baseline"), (TIMEOUT, 20, "Baseline")],
    },
];
