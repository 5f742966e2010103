//! Which texts and UUIDs are ids, to the byte: every store keeps them as they are and compares them byte by byte.

use std::collections::{BTreeMap, BTreeSet};

use ticket_reservation::domain::{
    AreaId, BlockReason, CustomerId, EventId, InvalidId, OperationId, PoolId, ReservationId, TicketId, Timestamp,
};
use uuid::Uuid;

/// What each kind of text id makes of a text. They all follow the same rules.
fn of_every_kind(text: &str) -> [Result<String, InvalidId>; 6] {
    [
        EventId::new(text).map(|id| id.as_str().to_owned()),
        TicketId::new(text).map(|id| id.as_str().to_owned()),
        PoolId::new(text).map(|id| id.as_str().to_owned()),
        AreaId::new(text).map(|id| id.as_str().to_owned()),
        CustomerId::new(text).map(|id| id.as_str().to_owned()),
        BlockReason::new(text).map(|id| id.as_str().to_owned()),
    ]
}

#[track_caller]
fn assert_is_id(text: &str) {
    for id in of_every_kind(text) {
        assert_eq!(id.as_deref(), Ok(text), "{text:?}");
    }
}

#[track_caller]
fn assert_is_no_id(text: &str, why: &InvalidId) {
    for id in of_every_kind(text) {
        assert_eq!(id.as_ref(), Err(why), "{text:?}");
    }
}

#[test]
fn a_text_id_has_1_to_64_bytes() {
    assert_is_no_id("", &InvalidId::Empty);
    assert_is_id("a");
    assert_is_id(&"a".repeat(64));
    assert_is_no_id(&"a".repeat(65), &InvalidId::TooLong { bytes: 65 });
}

#[test]
fn a_megabyte_is_no_id_whatever_it_is_made_of() {
    const MEGABYTE: usize = 1 << 20;
    for letter in ["a", "é", "🎫"] {
        let text = letter.repeat(MEGABYTE / letter.len());
        assert_is_no_id(&text, &InvalidId::TooLong { bytes: MEGABYTE });
        // What is said of it does not repeat it.
        let said = TicketId::new(text.as_str()).unwrap_err();
        assert!(said.to_string().len() < 200 && format!("{said:?}").len() < 200, "{said}");
    }
}

#[test]
fn the_limit_counts_bytes_and_not_characters() {
    assert_is_id(&"é".repeat(32));
    assert_is_no_id(&"é".repeat(33), &InvalidId::TooLong { bytes: 66 });
    let almost = "€".repeat(21);
    assert_is_id(&format!("{almost}a"));
    assert_is_no_id(&format!("{almost}é"), &InvalidId::TooLong { bytes: 65 });
    assert_is_id(&"🎫".repeat(16));
    assert_is_no_id(&format!("{}a", "🎫".repeat(16)), &InvalidId::TooLong { bytes: 65 });
}

#[test]
fn no_control_character_is_allowed_anywhere() {
    // C0, DEL and C1, to their edges.
    let controls = ('\u{0}'..='\u{1f}').chain('\u{7f}'..='\u{9f}');
    for control in controls {
        for text in [format!("{control}"), format!("{control}a"), format!("a{control}b"), format!("a{control}")] {
            assert_is_no_id(&text, &InvalidId::ControlCharacter);
        }
    }
}

#[test]
fn the_neighbours_of_the_control_characters_are_allowed() {
    for text in ["~", "a~", "!", "a\u{20}b", "a\u{a0}b", "\u{a1}"] {
        assert_is_id(text);
    }
}

#[test]
fn no_white_space_is_allowed_at_either_end() {
    for space in [' ', '\u{a0}', '\u{1680}', '\u{2003}', '\u{2028}', '\u{202f}', '\u{205f}', '\u{3000}'] {
        for text in [format!("{space}"), format!("{space}a"), format!("a{space}")] {
            assert_is_no_id(&text, &InvalidId::OuterWhiteSpace);
        }
    }
}

#[test]
fn white_space_inside_is_kept_as_it_is() {
    for text in ["row 1 seat 2", "a  b", "a\u{3000}b", "a\u{2003} b"] {
        assert_is_id(text);
    }
}

#[test]
fn upper_and_lower_case_are_different_ids() {
    assert_ne!(TicketId::new("a-1").unwrap(), TicketId::new("A-1").unwrap());
}

#[test]
fn composed_and_decomposed_letters_are_different_ids() {
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    assert_is_id(composed);
    assert_is_id(decomposed);
    assert_ne!(TicketId::new(composed).unwrap(), TicketId::new(decomposed).unwrap());
}

#[test]
fn text_ids_are_ordered_by_their_bytes() {
    let ids = ["é", "a", "10", "Z", "9", "zz", "z"].map(|text| TicketId::new(text).unwrap());
    let ordered: Vec<String> = ids.into_iter().collect::<BTreeSet<_>>().iter().map(ToString::to_string).collect();
    assert_eq!(ordered, ["10", "9", "Z", "a", "z", "zz", "é"]);
}

#[test]
fn every_way_to_make_a_text_id_checks_it() {
    let too_long = InvalidId::TooLong { bytes: 65 };
    assert_eq!("a".repeat(65).parse::<TicketId>(), Err(too_long.clone()));
    assert_eq!(TicketId::try_from("a".repeat(65)), Err(too_long.clone()));
    assert_eq!(TicketId::try_from("a".repeat(65).as_str()), Err(too_long));
}

#[test]
fn every_way_to_make_a_text_id_makes_the_same_one() {
    let id = TicketId::new("A-12").unwrap();
    assert_eq!("A-12".parse(), Ok(id.clone()));
    assert_eq!(TicketId::try_from("A-12".to_owned()), Ok(id.clone()));
    assert_eq!(TicketId::try_from("A-12"), Ok(id));
}

#[test]
fn a_text_id_shows_and_lends_its_text() {
    let id = TicketId::new("A \"12\"").unwrap();
    assert_eq!((id.to_string(), format!("{id:?}")), ("A \"12\"".to_owned(), r#""A \"12\"""#.to_owned()));
    assert_eq!(AsRef::<str>::as_ref(&id), "A \"12\"");
    let found = BTreeMap::from([(id, 7)]);
    assert_eq!(found.get("A \"12\""), Some(&7), "a map of ids can be asked with a text");
}

/// RFC 9562, appendix A.6: made on 22 February 2022 at 19:22:22 UTC.
const RFC_EXAMPLE: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
const RFC_EXAMPLE_MICROS: i64 = 1_645_557_742_000_000;

#[test]
fn an_operation_id_tells_when_it_was_made() {
    let id: OperationId = RFC_EXAMPLE.parse().unwrap();
    assert_eq!(id.made_at(), Timestamp::from_micros(RFC_EXAMPLE_MICROS));
}

#[test]
fn an_operation_id_is_made_in_whole_milliseconds() {
    let made_at = |micros| OperationId::from_parts(Timestamp::from_micros(micros), [0xff; 10]).made_at().as_micros();
    assert_eq!(made_at(RFC_EXAMPLE_MICROS), RFC_EXAMPLE_MICROS);
    assert_eq!(made_at(RFC_EXAMPLE_MICROS + 999), RFC_EXAMPLE_MICROS);
    assert_eq!(made_at(RFC_EXAMPLE_MICROS + 1_000), RFC_EXAMPLE_MICROS + 1_000);
    assert_eq!(made_at(-1_000_000), 0, "nothing is made before the epoch");
    let last = ((1 << 48) - 1) * 1_000;
    assert_eq!(made_at(last), last, "the last millisecond that fits");
    for later in [last + 1_000, 2 * last, i64::MAX] {
        assert_eq!(made_at(later), last, "{later}: a time that does not fit is not taken for an early one");
    }
}

#[test]
fn ids_from_parts_are_uuids_of_version_7() {
    let time = Timestamp::from_micros(RFC_EXAMPLE_MICROS);
    for random in [[0; 10], [0xff; 10]] {
        let uuids =
            [Uuid::from(OperationId::from_parts(time, random)), Uuid::from(ReservationId::from_parts(time, random))];
        for uuid in uuids {
            assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
            assert!(OperationId::try_from(uuid).is_ok());
        }
    }
}

#[test]
fn every_random_byte_makes_another_id() {
    let time = Timestamp::from_micros(RFC_EXAMPLE_MICROS);
    let mut ids = BTreeSet::from([OperationId::from_parts(time, [0; 10])]);
    for byte in 0..10 {
        let mut random = [0; 10];
        random[byte] = 1;
        assert!(ids.insert(OperationId::from_parts(time, random)), "byte {byte} makes no difference");
    }
}

#[test]
fn ids_made_later_are_greater() {
    let id = |micros, random| OperationId::from_parts(Timestamp::from_micros(micros), [random; 10]);
    assert!(id(RFC_EXAMPLE_MICROS, 0xff) < id(RFC_EXAMPLE_MICROS + 1_000, 0));
}

#[test]
fn an_operation_id_of_another_version_is_refused() {
    let of_version = |version: u8| {
        let mut bytes = *Uuid::parse_str(RFC_EXAMPLE).unwrap().as_bytes();
        bytes[6] = (version << 4) | (bytes[6] & 0x0f);
        Uuid::from_bytes(bytes)
    };
    for uuid in (0..16).filter(|version| *version != 7).map(of_version).chain([Uuid::nil(), Uuid::max()]) {
        assert_eq!(OperationId::try_from(uuid), Err(InvalidId::NotVersion7), "{uuid}");
        assert_eq!(uuid.to_string().parse::<OperationId>(), Err(InvalidId::NotVersion7), "{uuid}");
    }
    assert!(OperationId::try_from(of_version(7)).is_ok());
}

#[test]
fn a_reservation_id_may_be_any_uuid() {
    for text in [RFC_EXAMPLE, "f47ac10b-58cc-4372-a567-0e02b2c3d479", "00000000-0000-0000-0000-000000000000"] {
        let id: ReservationId = text.parse().unwrap();
        assert_eq!((id.to_string(), format!("{id:?}")), (text.to_owned(), text.to_owned()));
        assert_eq!((Uuid::from(id), *id.as_uuid()), (text.parse().unwrap(), text.parse().unwrap()));
    }
}

#[test]
fn what_is_no_uuid_is_no_id() {
    for text in ["", "A-12", "017f22e2-79b0-7cc3-98c4-dc0c0c07398", "017f22e2-79b0-7cc3-98c4-dc0c0c07398g"] {
        assert_eq!(text.parse::<OperationId>(), Err(InvalidId::NotUuid), "{text:?}");
        assert_eq!(text.parse::<ReservationId>(), Err(InvalidId::NotUuid), "{text:?}");
    }
}
