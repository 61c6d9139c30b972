//! The tree against a model: whatever commands come, it keeps its promises.

use proptest::{prelude::*, proptest};

use super::{node::Format, *};

#[derive(Clone, Debug)]
enum Change {
    Insert(Path, bool, Vec<u8>),
    Update(Path, Vec<u8>),
    Remove(Path),
    Rename(Path, String),
}

fn a_path() -> impl Strategy<Value = Path> {
    proptest::collection::vec("[a-c]", 0..4)
        .prop_map(|names| names.iter().fold(Path::root(), |path, name| path.child(name)))
}

fn a_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (a_path(), any::<bool>(), any::<Vec<u8>>()).prop_map(|(p, i, v)| Change::Insert(p, i, v)),
        2 => (a_path(), any::<Vec<u8>>()).prop_map(|(p, v)| Change::Update(p, v)),
        1 => a_path().prop_map(Change::Remove),
        1 => (a_path(), "[a-c]").prop_map(|(p, n)| Change::Rename(p, n)),
    ]
}

fn apply(tree: &mut Tree, change: &Change) -> Result<(), Code> {
    match change.clone() {
        Change::Insert(path, true, _) => tree.insert(&path, Node::interior()),
        Change::Insert(path, false, value) => tree.insert(&path, Node::leaf(Format::Bin, value)),
        Change::Update(path, value) => match tree.get(&path) {
            Some(node) if !node.is_interior() => tree.update(&path, |node| node.value = value),
            _ => Err(Code::NOT_ALLOWED),
        },
        Change::Remove(path) => tree.remove(&path),
        Change::Rename(path, name) => tree.rename(&path, &name),
    }
}

proptest! {
    #[test]
    fn a_refused_change_leaves_the_tree_as_it_was(changes in proptest::collection::vec(a_change(), 0..40)) {
        let mut tree = Tree::default();
        for change in &changes {
            let before = tree.clone();
            if apply(&mut tree, change).is_err() {
                prop_assert_eq!(&tree, &before);
            }
            prop_assert_eq!((tree.nodes, tree.octets), count(&tree.root));
        }
    }

    #[test]
    fn what_was_saved_is_restored(changes in proptest::collection::vec(a_change(), 0..40)) {
        let mut tree = Tree::default();
        for change in &changes {
            let _refused_or_not = apply(&mut tree, change);
        }
        let mut again = Tree::default();
        again.restore(&tree.save()).unwrap();
        prop_assert_eq!(again, tree);
    }

    #[test]
    fn a_copy_does_not_follow_its_original(changes in proptest::collection::vec(a_change(), 1..20)) {
        let mut tree = Tree::default();
        let copy = tree.clone();
        for change in &changes {
            let _refused_or_not = apply(&mut tree, change);
        }
        prop_assert_eq!(copy, Tree::default());
    }
}

#[test]
fn a_full_tree_takes_no_more() {
    let mut tree = Tree::default();
    let big = Path::root().child("big");
    tree.insert(&big, Node::leaf(Format::Bin, vec![0; MAX_OCTETS - 3])).unwrap();
    assert_eq!(tree.insert(&Path::root().child("x"), Node::interior()), Err(Code::DEVICE_FULL));
    assert_eq!(tree.update(&big, |node| node.value.push(0)), Err(Code::DEVICE_FULL));
    tree.remove(&big).unwrap();
    for number in 1..MAX_NODES {
        tree.insert(&Path::root().child(&number.to_string()), Node::interior()).unwrap();
    }
    assert_eq!(tree.insert(&Path::root().child("x"), Node::interior()), Err(Code::DEVICE_FULL));
}

#[test]
fn an_empty_list_inherits_the_nearest_whole_list() {
    let mut tree = Tree::default();
    let a = Path::root().child("a");
    let b = a.child("b");
    tree.insert(&a, Node { acl: Acl::parse("Replace=x").unwrap(), ..Node::interior() }).unwrap();
    tree.insert(&b, Node::interior()).unwrap();
    assert_eq!(tree.effective_acl(&b).to_text(), "Replace=x");
    assert_eq!(tree.effective_acl(&b.child("none")).to_text(), "Replace=x");
    assert_eq!(tree.effective_acl(&Path::root()).to_text(), "Add=*&Get=*");
}
