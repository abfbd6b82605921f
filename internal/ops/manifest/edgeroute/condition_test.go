package edgeroute_test

import (
	"strings"
	"testing"

	"rtsptunnel/internal/ops/manifest/edgeroute"
)

// The conditions are of the kinds that edge hub's own tests have: Azure/iotedge,
// Microsoft.Azure.Devices.Routing.Core.Test/query/ConditionCompilerTest.cs and
// BodyQueryTest.cs.
const goodConditions = `
	3 = 3
	"3" != "4"
	'3' <> '4'
	true = false
	key2 = "3"
	as_number(key2) = 3
	$sys2 = '4'
	{ $sys1 } = "x"
	is_defined($none)
	NOT IS_DEFINED($connectionModuleId)
	NOT IS_DEFINED ($connectionModuleId)
	not (true and false)
	true AND not true
	undefined or false
	undefined < undefined
	(undefined ?? undefined) = undefined
	none = 'true' or none2 = 'true'
	(key1 ?? "hello") = "value1"
	(none ?? none ?? "hello") = "hello"
	(as_number(key1) ?? 12.34) = 12.34
	(3 % 0 ?? 12.34) = 12.34
	(null and false) = null
	(null or null) = null
	null or true
	not null
	3 + 4 = 7
	(3 - as_number(key2)) = 0
	3 - 4 = -1
	is_defined(3 / as_number(none))
	-(3 + 4) = -7
	'a' <= none
	KEY1 = "value1"
	AS_NUMBER('10e10') = 10e10
	AS_NUMBER("3") = 0x1F
	abs(exp(1) - 2.718281) < 1e-6
	as_number(as_number(4)) * 3 = 12
	is_null(as_number(key1) / as_number(key2))
	is_string('a' || 'b')
	concat('a', key1, 'd') = 'avalue1d'
	'a' || key1 || 'd' = 'avalue1d'
	length('HELLO') = 5
	substring('abc', 1, 1 % 0) = ''
	SUBSTRING(key1, 1) = 'a'
	INDEX_OF(key1, 'val') = 0
	starts_with('abc', key1)
	power(2, 3) = 8
	sign(-3 / 0) = -1
	a = 'it\'s'
	a = '\u0041'
	a = 'FROM /x INTO $y'
	a-b = 'c'
	$body
	50 >= $body.message.Weather.Temperature
	$bODy.message.Temperature <> 40 + 10
	$body.T >= $body.P[0] + $body.P[1]
	$body.list[0].Month = 'Feb'
	$body.message.enabled
	NOT $body.a.b
	$body.a AND b = 'c'
	b = 'c' AND $body.a = true
	$body.a OR NOT($body.b)
	{$body.a} <> 100
	$body.a <> null
	ceiling(as_number($body.a)) = 51
	concat($body.a, ', ', $body.b) = 'x'
	substring($body.a, length($body.a) - 3) = 'Way'`

const badConditions = `
	temperature > 25
	is_defined(3 + none)
	is_defined(true + 3)
	is_defined('a' - 'b')
	is_defined(undefined * 3)
	is_defined(3 % null)
	3 = none
	'a' < 3
	key1 ?? "hello" = "value1"
	(key1 ?? 12.34)
	(key1 ?? null)
	(null && key1)
	concat() = 'a'
	concat('a') = 'a'
	concat('a', null) = 'a'
	'a' || true = 'a'
	length(12.34) = 'hello'
	lower(undefined) = 'a'
	upper(true) = 'a'
	substring('hello') = 'hello'
	substring('hello', 'a') = 'hello'
	index_of('hello', 'a', 'b') = 1
	index_of('hello', 12.34) = 1
	starts_with()
	ends_with(null, 'a')
	contains('hello', undefined)
	is_defined(abs(key1))
	is_defined(abs(3, 4))
	is_defined(power(2, key1))
	is_defined()
	as_number(true) = 1
	nothing(3)
	twin_change_includes(a)
	test == true
	none = "
	none and true
	undefined and "hello"
	none or true
	- (key1)
	is_defined(not key1)
	NOT a = 'b'
	a = 'b' AND $body.flag
	3 -4 = 7
	$body.properties[]
	$body.properties[1:2]
	$body.properties[x]
	$body.a..b
	$body.a.
	$body. = 3
	$body.1 = 3
	$body;@
	a : b
	()
	is_defined(a,)`

func TestParse_conditions(t *testing.T) {
	for _, list := range []struct {
		text string
		good bool
	}{{goodConditions, true}, {badConditions, false}} {
		for condition := range strings.Lines(list.text) {
			condition = strings.TrimSpace(condition)
			if condition == "" {
				continue
			}
			_, err := edgeroute.Parse("FROM /messages/* WHERE " + condition + " INTO $upstream")
			if (err == nil) != list.good {
				t.Errorf("%s: %v", condition, err)
			}
		}
	}
}
