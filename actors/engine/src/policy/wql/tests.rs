//! The subset, and what lies outside it.

use super::*;

fn pc() -> Facts {
    Facts::from_json(&serde_json::json!({
        "Win32_OperatingSystem": {"Version": "10.0.22631", "BuildNumber": "22631", "ProductType": 1, "Caption": "Windows 11 Pro"},
        "Win32_LogicalDisk": [{"DriveType": 2, "Size": null}, {"DriveType": 3, "Size": 500}],
        "Win32_ComputerSystem.Model": "Latitude 7440",
        "./DevInfo/Man": "Dell Inc.",
    }))
    .unwrap()
}

fn ask(query: &str) -> Verdict {
    let text = format!("1;3;10;{};WQL;root\\CIMv2;{query};", query.encode_utf16().count());
    Filter::read("x", &text).evaluate(&pc())
}

#[test]
fn a_filter_is_true_when_a_row_fulfils_it() {
    for (condition, verdict) in [
        ("", Verdict::True),
        (" WHERE Version LIKE \"10.%\"", Verdict::True),
        (" where version like '10.0.2[0-9]6__' and producttype = 1", Verdict::True),
        (" WHERE Version LIKE \"[^1]%\"", Verdict::False),
        (" WHERE BuildNumber >= 22000", Verdict::True),
        // A text property and a text: as text, as on Windows.
        (" WHERE Version >= \"6.2\"", Verdict::False),
        (" WHERE ProductType = \"1\"", Verdict::True),
        (" WHERE ProductType <> 1 OR NOT (Caption = 'x' AND Caption = 'y')", Verdict::True),
        (" WHERE ProductType > 1", Verdict::False),
        (" WHERE Caption IS NOT NULL", Verdict::True),
        (" WHERE 2 > ProductType", Verdict::True),
    ] {
        assert_eq!(ask(&format!("SELECT * FROM Win32_OperatingSystem{condition}")), verdict, "{condition}");
    }
}

#[test]
fn every_row_of_a_class_is_looked_at() {
    assert_eq!(
        ask("SELECT DriveType, Size FROM Win32_LogicalDisk WHERE DriveType = 3 AND Size > 100"),
        Verdict::True
    );
    assert_eq!(ask("SELECT * FROM Win32_LogicalDisk WHERE DriveType = 2 AND Size > 100"), Verdict::False);
}

#[test]
fn what_a_device_says_of_itself_is_asked_by_the_names_of_wmi() {
    assert_eq!(ask("SELECT * FROM Win32_ComputerSystem WHERE Manufacturer LIKE 'dell%'"), Verdict::True);
    assert_eq!(ask("SELECT * FROM Postern_DevInfo WHERE Man = 'Dell Inc.'"), Verdict::True);
}

#[test]
fn what_nobody_knows_is_unknown_unless_the_rest_decides() {
    for (condition, verdict) in [
        ("Serial = 'x'", Verdict::Unknown),
        ("Serial = 'x' AND ProductType = 2", Verdict::False),
        ("Serial = 'x' AND ProductType = 1", Verdict::Unknown),
        ("Serial = 'x' OR ProductType = 1", Verdict::True),
        ("Caption > 5", Verdict::Unknown),
        ("Caption LIKE 5", Verdict::Unknown),
    ] {
        assert_eq!(
            ask(&format!("SELECT * FROM Win32_OperatingSystem WHERE {condition}")),
            verdict,
            "{condition}"
        );
    }
    assert_eq!(ask("SELECT * FROM Win32_Battery"), Verdict::Unknown);
}

#[test]
fn a_query_outside_the_subset_is_unknown() {
    for query in [
        "SELECT * FROM Win32_OperatingSystem WHERE Version = 1.5",
        "SELECT * FROM Win32_OperatingSystem GROUP BY Version",
        "SELECT * FROM Win32_OperatingSystem WHERE __this ISA 'x'",
        "ASSOCIATORS OF {Win32_LogicalDisk.DeviceID='C:'}",
        "SELECT * FROM Win32_OperatingSystem WHERE Caption = \"open",
        "SELECT * FROM Win32_OperatingSystem WHERE Caption LIKE '[a'",
        "SELECT * FROM Win32_OperatingSystem WHERE",
        "",
    ] {
        assert_eq!(ask(query), Verdict::Unknown, "{query}");
    }
    let deep = format!("SELECT * FROM x WHERE {}a=1{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(ask(&deep), Verdict::Unknown);
}

#[test]
fn all_queries_of_a_filter_have_to_find_a_row() {
    let query = "SELECT * FROM Win32_OperatingSystem WHERE ProductType = 1";
    let other = "SELECT * FROM Win32_OperatingSystem WHERE Caption = ';'";
    let text = |second: &str| {
        format!(
            "2;3;10;{};WQL;root\\CIMv2;{query};3;10;{};WQL;root\\CIMv2;{second};",
            query.len(),
            second.len()
        )
    };

    assert_eq!(Filter::read("x", &text(query)).evaluate(&pc()), Verdict::True);
    assert_eq!(Filter::read("x", &text(other)).evaluate(&pc()), Verdict::False);
    assert_eq!(
        Filter::read("x", "1;3;10;9;WQL;root\\CIMv2;SELECT * FROM Win32_OperatingSystem;").evaluate(&pc()),
        Verdict::True
    );
    assert_eq!(Filter::read("x", "1;3;9;9;WQL;root\\wmi;SELECT * FROM x;").evaluate(&pc()), Verdict::Unknown);
}
