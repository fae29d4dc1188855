//! [`Names`]: tables of modules, nodes, instances and endpoints, each entry with a number.

use foldhash::HashMap;

/// Maximum number of endpoints. Endpoints without a route are named by their paths, so each request can have another one.
/// Beyond the maximum, all further endpoints of a module count as one endpoint without a name.
const ENDPOINTS_MAX: usize = 65_536;

/// The names in a run. The number of a name is its index in its list.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub modules: Vec<String>,
    pub nodes: Vec<String>,
    pub instances: Vec<Instance>,
    pub endpoints: Vec<Endpoint>,
    numbers: Numbers,
}

#[derive(Debug, Clone, Default)]
struct Numbers {
    modules: HashMap<String, u32>,
    nodes: HashMap<String, u32>,
    /// For each module: the number of each instance id.
    instances: Vec<HashMap<String, u32>>,
    /// For each module: the number of each method and route.
    endpoints: Vec<HashMap<String, u32>>,
    scratch: String,
}

/// An instance with its station (queue and slots).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    pub module: u32,
    pub node: u32,
    pub station: Station,
}

/// The queue and slots of an instance. Requests are served first come, first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Station {
    /// `None`: unlimited, because the instance reports no queue.
    pub slots: Option<u32>,
    /// Whether a request releases its slot during calls.
    pub is_released: bool,
    /// Maximum number of requests that wait for their first slot. `None`: unlimited.
    pub queue_limit: Option<u32>,
}

/// An endpoint: module, method and route. Without a route, the path is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub module: u32,
    pub method: Option<String>,
    pub route: Option<String>,
}

impl Names {
    pub fn module(&mut self, text: &str) -> u32 {
        let number = number(&mut self.numbers.modules, &mut self.modules, text);
        self.numbers
            .instances
            .resize_with(self.modules.len(), HashMap::default);
        self.numbers
            .endpoints
            .resize_with(self.modules.len(), HashMap::default);
        number
    }

    pub fn node(&mut self, text: &str) -> u32 {
        number(&mut self.numbers.nodes, &mut self.nodes, text)
    }

    /// The number of an instance of a known module. A new instance is added with `node`; a known one keeps the node of its
    /// first row.
    pub fn instance(&mut self, module: u32, id: &str, node: &str) -> u32 {
        if let Some(number) = self.find_instance(module, id) {
            return number;
        }
        let node = self.node(node);
        let number = self.instances.len() as u32;
        self.instances.push(Instance {
            id: id.to_owned(),
            module,
            node,
            station: Station::default(),
        });
        self.numbers.instances[module as usize].insert(id.to_owned(), number);
        number
    }

    /// The number of an endpoint of a known module. A new endpoint is added.
    pub fn endpoint(&mut self, module: u32, method: Option<&str>, route: Option<&str>) -> u32 {
        let numbers = &mut self.numbers.endpoints[module as usize];
        let key = &mut self.numbers.scratch;
        endpoint_key(key, method, route);
        if let Some(&number) = numbers.get(key.as_str()) {
            return number;
        }
        let (mut method, mut route) = (method, route);
        if self.endpoints.len() >= ENDPOINTS_MAX {
            (method, route) = (None, None);
            endpoint_key(key, None, None);
            if let Some(&number) = numbers.get(key.as_str()) {
                return number;
            }
        }
        let number = self.endpoints.len() as u32;
        self.endpoints.push(Endpoint {
            module,
            method: method.map(str::to_owned),
            route: route.map(str::to_owned),
        });
        numbers.insert(key.clone(), number);
        number
    }

    /// The module of an instance.
    pub fn module_of(&self, instance: u32) -> u32 {
        self.instances[instance as usize].module
    }

    /// The number of a known module.
    pub fn find_module(&self, text: &str) -> Option<u32> {
        self.numbers.modules.get(text).copied()
    }

    /// The number of a known instance.
    pub fn find_instance(&self, module: u32, id: &str) -> Option<u32> {
        let of_module = self.numbers.instances.get(module as usize)?;
        of_module.get(id).copied()
    }
}

/// Encodes method and route so that different pairs always have different keys, even if one of the two is empty or missing.
fn endpoint_key(key: &mut String, method: Option<&str>, route: Option<&str>) {
    key.clear();
    for part in [method, route] {
        match part {
            Some(text) => {
                key.push_str(&text.len().to_string());
                key.push(':');
                key.push_str(text);
            }
            None => key.push('-'),
        }
    }
}

fn number(numbers: &mut HashMap<String, u32>, texts: &mut Vec<String>, text: &str) -> u32 {
    if let Some(&number) = numbers.get(text) {
        return number;
    }
    let number = texts.len() as u32;
    texts.push(text.to_owned());
    numbers.insert(text.to_owned(), number);
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_and_parts_are_not_mistaken() {
        let mut names = Names::default();
        let (a, b) = (names.module("a"), names.module("b"));
        assert_eq!((a, b, names.module("a")), (0, 1, 0));
        let first = names.instance(a, "i", "n1");
        assert_eq!(names.instance(a, "i", "n2"), first);
        assert_ne!(names.instance(b, "i", "n2"), first);
        assert_eq!(names.nodes[names.instances[first as usize].node as usize], "n1");
        let known = names.endpoint(a, Some("GET"), Some("/x"));
        assert_eq!(names.endpoint(a, Some("GET"), Some("/x")), known);
        assert_ne!(names.endpoint(a, None, Some("3:GET2:/x")), known);
        assert_ne!(names.endpoint(a, Some(""), None), names.endpoint(a, None, None));
    }

    #[test]
    fn endpoints_past_the_maximum_count_as_one_per_module() {
        let mut names = Names::default();
        let modules = [names.module("a"), names.module("b")];
        for path in 0..ENDPOINTS_MAX {
            names.endpoint(modules[0], None, Some(&path.to_string()));
        }
        let others = modules.map(|module| {
            let other = names.endpoint(module, None, Some("x"));
            assert_eq!(names.endpoint(module, Some("GET"), Some("y")), other);
            other
        });
        assert_ne!(others[0], others[1]);
        assert_eq!(names.endpoint(modules[0], None, Some("7")), 7);
    }
}
